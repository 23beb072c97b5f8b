"""A worker on another machine: `command` is ssh, and the worker has nothing else to learn. The machine is this one.

    python remote_worker.py path/to/millwork

Starts an sshd of its own on a free port of 127.0.0.1, with keys of its own, for the user who runs this.
"""

import getpass
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "docs" / "examples"))
import host  # noqa: E402

host.STARTUP = host.SHORT = PATIENCE = 120


def program(name):
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not found:
        print(f"skipped: a worker through ssh: there is no {name} (Debian: openssh-server, openssh-client)")
        sys.exit()
    return found


def eventually(what, holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        time.sleep(0.05)


def start_sshd(folder):
    """Gives the server, and the command that logs in to it."""
    sshd, ssh, keygen = program("sshd"), program("ssh"), program("ssh-keygen")
    for key in ("host_key", "user_key"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host_key = (folder / "host_key.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key[0]} {host_key[1]}\n")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/user_key.pub\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # sshd insists on it.
    server = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "sshd_config"], stderr=open(folder / "sshd.log", "wb"))

    def listens():
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    eventually("sshd listens", listens)
    options = {"BatchMode": "yes", "UserKnownHostsFile": folder / "known_hosts", "IdentityFile": folder / "user_key"}
    options = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return server, [ssh, "-F", "none", *options, "-p", str(port), f"{getpass.getuser()}@127.0.0.1"]


def processes(mark):
    """The processes with this word among their arguments, ssh's own left out."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(mark) in words and b"worker" in words and not words[0].endswith(b"ssh"):
            found.append(int(entry.name))
    return found


def works(fleet):
    assert fleet.execute("test.Add", {"a": 1, "b": 2.5})["outputs"]["output"] == 3.5
    blob = hashlib.sha256(b"blob").digest() * 200_000
    assert fleet.execute("test.Echo", {}, blobs={"value": blob})["blobs"]["output"] == blob
    assert [chunk["output"] for chunk in fleet.stream("test.Stream", {"n": 100})] == list(range(100))
    stream = fleet.stream("test.Stream", {"n": 10**9})
    next(stream)
    stream.close()
    assert fleet.execute("test.Add", {"a": 2, "b": 2})["outputs"]["output"] == 4


def a_lost_connection_is_a_dead_worker(fleet, mark):
    (worker,) = processes(mark)
    stream = fleet.stream("test.Stream", {"n": 10**9, "bytes": 1000})
    next(stream)
    os.kill(worker, signal.SIGKILL)
    try:
        for _ in stream:
            pass
    except host.WorkerError as error:
        assert error.data["kind"] == "worker_died" and "remote" in str(error), error.data
    else:
        raise AssertionError("the stream of a dead worker ended well")
    works(fleet)


def main():
    (millwork,) = sys.argv[1:]
    millwork = os.path.abspath(millwork)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o700)
        server, login = start_sshd(folder)
        mark = folder / "workspace"
        mark.mkdir()
        command = [*login, millwork, "worker", "--stdio", "--test-nodes", "--workspace", str(mark)]
        # TOML's strings are JSON's.
        (folder / "millwork.toml").write_text(f'[[worker]]\nname = "remote"\ncommand = {json.dumps(command)}\n')
        try:
            fleet = host.Worker([millwork, "serve", "--stdio", "--config", str(folder / "millwork.toml")])
            try:
                works(fleet)
                print("a worker through ssh: requests, blobs, streams and cancels")
                a_lost_connection_is_a_dead_worker(fleet, mark)
                print("a lost connection: worker_died, and the next one is started")
                fleet.process.kill()
                eventually("the remote worker ends when the supervisor was killed", lambda: not processes(mark))
                print("the supervisor killed: nothing is left on the other side")
            finally:
                fleet.process.kill()
        except host.WorkerError as error:
            sys.exit(f"{error}\nsshd says:\n{(folder / 'sshd.log').read_text()}")
        finally:
            server.terminate()


main()
