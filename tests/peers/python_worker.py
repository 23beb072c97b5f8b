"""A Python worker and ours as one fleet behind our supervisor.

    python python_worker.py path/to/millwork

The Python worker is the published `nodetool-core` in the Python that runs this script, with the nodes of
`conformance_package`; ours has its stock nodes. The host is that of docs/examples.
"""

import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "docs" / "examples"))
import host  # noqa: E402
import jsonschema  # noqa: E402

# Python takes a while to load its packages on a busy machine.
host.STARTUP = host.SHORT = PATIENCE = 240
PYTHON_NODES = "Abort Add Alloc BigBlob Child Echo Fail NeedsSecret Panic Progress Sleep StdoutNoise Stream"


SCHEMA = jsonschema.Draft202012Validator(json.loads((HERE / "bridge-frames.schema.json").read_text()))


class Fleet(host.Worker):
    """A host that also notices frames that break the schema, or belong to no request in flight."""

    def __init__(self, command):
        super().__init__(command)
        self.strays = strays = []

        class Answers(dict):
            def get(self, request_id):
                if request_id not in self:
                    strays.append(request_id)
                return super().get(request_id)

        self.answers = Answers()

    def request(self, *args, **more):
        for frame in super().request(*args, **more):
            SCHEMA.validate(frame)
            yield frame

    def error(self, node_type, fields):
        try:
            answer = self.execute(node_type, fields)
        except host.WorkerError as error:
            return error
        raise AssertionError(f"{node_type} answered {answer}")

    def worker(self, name):
        workers = self.call("worker.status")["extensions"]["supervisor"]["workers"]
        return next(worker for worker in workers if worker["name"] == name)


def write_config(folder, millwork):
    python = [sys.executable, "-m", "nodetool.worker", "--stdio", "--namespaces", "test"]
    env = {"PYTHONPATH": str(HERE / "conformance_package"), "HF_HOME": str(folder)}
    config = folder / "millwork.toml"
    # TOML's strings are JSON's.
    config.write_text(
        f"ready_timeout_ms = {PATIENCE * 1000}\n"
        f'[[worker]]\nname = "python"\ncommand = {json.dumps(python)}\n'
        f"env = {{ {', '.join(f'{name} = {json.dumps(value)}' for name, value in env.items())} }}\n"
        f'[[worker]]\nname = "stock"\ncommand = {json.dumps([millwork, "worker", "--stdio"])}\n'
    )
    return config


def the_command_knows_both(millwork, config, folder):
    env = {**os.environ, "XDG_CONFIG_HOME": str(folder)}
    run = lambda *args: subprocess.run(
        [millwork, *args, "--config", config], cwd=folder, env=env, check=True, timeout=2 * PATIENCE, stdout=subprocess.PIPE
    ).stdout.decode()
    assert "7" in run("run", "test.Echo", "value=7", "--json")
    listed = run("nodes", "--json")
    assert "test.Echo" in listed and "text.Concat" in listed, listed


def one_inventory(fleet):
    found = fleet.call("discover")
    types = [node["node_type"] for node in found["nodes"]]
    assert len(types) == len(set(types)), "a node is listed twice"
    assert sorted(name for name in types if name.startswith("test.")) == [f"test.{name}" for name in PYTHON_NODES.split()]
    assert {"text.Concat", "json.Parse", "image.Info"} <= set(types), types
    status = fleet.call("worker.status")
    assert status["node_count"] == len(types) and {"test", "text", "image"} <= set(status["namespaces"]), status
    assert found["load_errors"] == [], found["load_errors"]


def every_answer(fleet):
    run = lambda node, fields=None, **more: fleet.execute(node, fields or {}, **more)
    value = lambda *args, **more: run(*args, **more)["outputs"]["output"]
    thing = {"a": [1, 2.5, None, True, "ü", b"\x00\xff"], "b": {"c": -(2**53)}}
    assert value("test.Echo", {"value": thing}) == thing
    assert run("test.Echo", blobs={"value": b"\x00\n\xff"})["blobs"] == {"output": b"\x00\n\xff"}
    assert [item["data"] for item in value("test.Echo", blobs={"value": [b"a", b"b"]})] == [b"a", b"b"]
    assert value("test.Add", {"a": 1, "b": 2.5}) == 3.5
    assert value("test.Sleep", {"ms": 1}) == 1
    frames = list(fleet.request("execute", {"node_type": "test.Progress", "fields": {"n": 3}}))
    assert [frame["data"]["progress"] for frame in frames[:-1]][-1] == 3
    assert [chunk["output"] for chunk in fleet.stream("test.Stream", {"n": 3})] == [0, 1, 2]
    big = lambda seed: run("test.BigBlob", {"bytes": 3_000_000, "seed": seed})["blobs"]["output"]
    assert len(big(1)) == 3_000_000 and big(1) == big(1) != big(2)
    assert value("test.NeedsSecret", secrets={"TEST_SECRET": "abc"}) == hashlib.sha256(b"abc").hexdigest()
    assert "TEST_SECRET" in str(fleet.error("test.NeedsSecret", {}))
    for node in ("test.Fail", "test.Panic"):
        assert "no luck" in str(fleet.error(node, {"message": "no luck"}))
    for via in ("rust", "libc", "child"):
        assert value("test.StdoutNoise", {"text": "noise", "via": via}) == "noise"
    assert value("test.Alloc", {"mb": 2}) == 2
    # Ours, in between.
    assert value("text.Concat", {"a": "mill", "b": "work"}) == "millwork"
    assert value("json.Parse", {"text": '{"a": [1]}'}) == {"a": [1]}
    picture = (ROOT / "docs" / "images" / "astronaut.png").read_bytes()
    assert run("image.Info", blobs={"image": picture})["outputs"]["width"] > 0


def one_dies_and_the_other_goes_on(fleet):
    victim, other = fleet.worker("python"), fleet.worker("stock")
    stop, answered, under_way = threading.Event(), collections.Counter(), threading.Semaphore(0)

    def ours(thread):
        while not stop.is_set():
            text = f"{thread} {answered[thread]}"
            answer = fleet.execute("text.Concat", {"a": text, "b": "!"})["outputs"]["output"]
            assert answer == f"{text}!", f"asked for {text}!, got {answer}"
            answered[thread] += 1

    def theirs(_):
        stream = fleet.stream("test.Stream", {"n": 10**9, "bytes": 1000})
        next(stream)
        under_way.release()
        try:
            return collections.deque(stream, maxlen=1)
        except host.WorkerError as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        going_on = [pool.submit(ours, thread) for thread in range(4)]
        dying = [pool.submit(theirs, thread) for thread in range(8)]
        try:
            for _ in dying:
                assert under_way.acquire(timeout=PATIENCE), "a stream of the Python worker did not begin"
            before, killed = answered.total(), time.monotonic()
            os.kill(victim["pid"], signal.SIGKILL)
            errors = [future.result(PATIENCE) for future in dying]
            told = time.monotonic() - killed
            for error in errors:
                assert isinstance(error, host.WorkerError) and "SIGKILL" in str(error), repr(error)
                assert error.data["kind"] == "worker_died" and "python" in str(error), error.data
            # It comes back by itself, and what is asked meanwhile waits for it.
            assert fleet.execute("test.Add", {"a": 1, "b": 2})["outputs"]["output"] == 3
            back, meanwhile = time.monotonic() - killed, answered.total() - before
        finally:
            stop.set()
        for future in going_on:
            future.result(PATIENCE)
    again = fleet.worker("python")
    assert again["pid"] != victim["pid"] and again["restarts"] == victim["restarts"] + 1, again
    still = fleet.worker("stock")
    assert (still["pid"], still["restarts"]) == (other["pid"], other["restarts"]), still
    assert meanwhile > 0, "the other worker answered nothing while the Python worker was away"
    return f"8 errors within {told:.2f} s, back in {back:.2f} s, {meanwhile} answers of the other meanwhile"


def main():
    (millwork,) = sys.argv[1:]
    millwork = os.path.abspath(millwork)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        config = write_config(folder, millwork)
        the_command_knows_both(millwork, config, folder)
        print("the command knows the nodes of both")
        fleet = Fleet([millwork, "serve", "--stdio", "--config", str(config)])
        try:
            for part in (one_inventory, every_answer, one_dies_and_the_other_goes_on):
                print(part.__name__.replace("_", " "), "-", part(fleet) or "ok", flush=True)
            assert fleet.close() == 0
            assert fleet.strays == [], f"frames that belong to no request: {fleet.strays}"
        finally:
            fleet.process.kill()


main()
