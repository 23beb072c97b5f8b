"""Runs the hosts of docs/examples, with each of the encoders that hosts use, against our workers and the example's.

    python hosts.py path/to/millwork path/to/millwork-worker [folder for the packages of npm]

Where node or npm is missing the host in JavaScript is skipped, and a line says so.
"""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
EXAMPLES = HERE.parent.parent / "docs" / "examples"
# Whatever the host's language prints a list or a truth value as.
EXPECTED = """\
1 + 2.5 = 3.5
a blob comes back whole: true
a stream of [0, 1, 2]
an error: Unknown node type: nope.Nope
a long one begins with 0
and the next request is served: 4
the worker ended with 0
"""


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **more)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def host(name, command, worker, args, **more):
    first, rest = run([*command, *args], **more).split("\n", 1)
    told = rest.replace("True", "true").replace("4.0", "4").replace("[ ", "[").replace(" ]", "]")
    assert first.startswith("version ") and told == EXPECTED, f"{name} against {worker}:\n{first}\n{rest}"
    print(f"{name:20} {worker:14} {first}")


def node_packages(folder):
    """Installs what package.json names, once."""
    wanted = (HERE / "package.json").read_text()
    folder.mkdir(parents=True, exist_ok=True)
    if not ((folder / "package.json").is_file() and (folder / "package.json").read_text() == wanted):
        shutil.rmtree(folder / "node_modules", ignore_errors=True)
        (folder / "package.json").write_text(wanted)
        install = ["npm", "install", "--omit=optional", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
        try:
            run(install, cwd=folder)
        except BaseException:
            (folder / "package.json").unlink()
            raise
    # Packages are looked for beside the file that imports them.
    for file in (EXAMPLES / "host.mjs", HERE / "encoders.mjs"):
        shutil.copy(file, folder)


def main():
    millwork, worker, *folder = sys.argv[1:]
    workers = {
        "worker.py": [sys.executable, EXAMPLES / "worker.py"],
        "our worker": [worker, "--stdio", "--test-nodes"],
        "our supervisor": [millwork, "serve", "--stdio", "--test-nodes"],
    }
    for name, args in workers.items():
        host("Python msgpack", [sys.executable, EXAMPLES / "host.py"], name, args)
    if not (shutil.which("node") and shutil.which("npm")):
        print("skipped: a host in JavaScript: there is no node or no npm")
        return
    folder = pathlib.Path(*folder or ["node-packages"]).resolve()
    node_packages(folder)
    for encoder in ("@msgpack/msgpack", "msgpackr"):
        env = {"env": {**os.environ, "ENCODER": encoder}}
        for name, args in workers.items():
            host(encoder, ["node", folder / "host.mjs"], name, args, **env)
            print(f"{encoder:20} {name:14} {run(['node', folder / 'encoders.mjs', *args], **env).strip()}")


main()
