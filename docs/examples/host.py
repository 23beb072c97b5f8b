"""A whole host for the bridge protocol. It needs `pip install msgpack` and drives any worker:

    python host.py millwork worker --stdio --test-nodes
"""

import collections
import itertools
import queue
import struct
import subprocess
import sys
import threading

import msgpack

STARTUP, SHORT, LONG, CLOSING = 20, 30, 12 * 60, 5  # seconds that hosts wait
TERMINAL = ("result", "error", "discover")


class WorkerError(Exception):
    """What a worker answered instead of a result, or how it ended. `data` is all that its error frame said."""

    def __init__(self, text, data=None):
        super().__init__(text)
        self.data = data or {}


class Worker:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.ids = itertools.count(1)
        self.answers = {}  # A queue of frames for each request in flight.
        self.lock = threading.Lock()
        self.dead = None
        self.ready = threading.Event()
        self.log = collections.deque(maxlen=20)
        # Both pipes are read all the time: one that nobody empties stops the worker.
        threading.Thread(target=self._read_log, daemon=True).start()
        threading.Thread(target=self._read_frames, daemon=True).start()
        if not self.ready.wait(STARTUP) or self.dead:
            self.process.kill()
            self.process.wait()
            why = self.dead or f"it said nothing of it within {STARTUP} s"
            raise WorkerError("\n  ".join([f"{command[0]} is not ready: {why}", *self.log]))

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line.decode(errors="replace").rstrip())
            if self.log[-1] == "NODETOOL_STDIO_READY":
                self.ready.set()

    def _read_frames(self):
        read = self.process.stdout.read
        try:
            while len(header := read(4)) == 4:
                payload = read(struct.unpack(">I", header)[0])
                frame = msgpack.unpackb(payload, strict_map_key=False)
                if answers := self.answers.get(frame["request_id"]):
                    answers.put(frame)
        except Exception as error:  # Not frames: what is that program?
            self.log.append(f"{type(error).__name__} in its output: {error}")
            self.process.kill()
        # Nobody waits for an answer that cannot come any more.
        with self.lock:
            self.dead = f"the worker ended with {self.process.wait()}"
            for request_id, answers in self.answers.items():
                answers.put({"type": "error", "request_id": request_id, "data": {"error": self.dead}})
        self.ready.set()

    def _send(self, kind, request_id, data):
        payload = msgpack.packb({"type": kind, "request_id": request_id, "data": data})
        try:
            with self.lock:
                self.process.stdin.write(struct.pack(">I", len(payload)) + payload)
                self.process.stdin.flush()
        except OSError:
            pass  # It has died, and the thread that reads tells everybody.

    def request(self, kind, data, timeout=LONG):
        """Yields the frames of one request. The last one is its terminal frame; an error is raised."""
        request_id = str(next(self.ids))
        with self.lock:
            if self.dead:
                raise WorkerError(self.dead)
            answers = self.answers[request_id] = queue.Queue()
        self._send(kind, request_id, data)
        ended = False
        try:
            while not ended:
                frame = answers.get(timeout=timeout)
                ended = frame["type"] in TERMINAL
                if frame["type"] == "error":
                    raise WorkerError(frame["data"]["error"], frame["data"])
                yield frame
        except queue.Empty:
            raise WorkerError(f"no answer to {kind} within {timeout} s") from None
        finally:
            if not ended:  # Whoever stops iterating cancels.
                self._send("cancel", request_id, {})
            del self.answers[request_id]

    def call(self, kind, data=None, timeout=SHORT):
        *_, last = self.request(kind, data or {}, timeout)
        return last["data"]

    def execute(self, node_type, fields, **more):
        return self.call("execute", {"node_type": node_type, "fields": fields, **more}, LONG)

    def stream(self, node_type, fields):
        for frame in self.request("execute.stream", {"node_type": node_type, "fields": fields}):
            if frame["type"] == "chunk":
                yield frame["data"]["outputs"]

    def close(self):
        """Ends stdin, which is how a worker is asked to go; then less and less politely."""
        for ask in (self.process.stdin.close, self.process.terminate, self.process.kill):
            try:
                ask()
                return self.process.wait(CLOSING)
            except (subprocess.TimeoutExpired, BrokenPipeError):
                continue


def main():
    worker = Worker(sys.argv[1:])
    found = worker.call("discover")
    print(f"version {found.get('protocol_version', 1)}, {len(found['nodes'])} nodes")
    print("1 + 2.5 =", worker.execute("test.Add", {"a": 1, "b": 2.5})["outputs"]["output"])
    echo = worker.execute("test.Echo", {}, blobs={"value": b"\x00\n\xff"})
    print("a blob comes back whole:", echo["blobs"]["output"] == b"\x00\n\xff")
    print("a stream of", [chunk["output"] for chunk in worker.stream("test.Stream", {"n": 3})])
    try:
        worker.execute("nope.Nope", {})
    except WorkerError as error:
        print("an error:", error)
    stream = worker.stream("test.Stream", {"n": 1_000_000_000})
    print("a long one begins with", next(stream)["output"])
    stream.close()  # This cancels it.
    print("and the next request is served:", worker.execute("test.Add", {"a": 2, "b": 2})["outputs"]["output"])
    print("the worker ended with", worker.close())


if __name__ == "__main__":
    try:
        main()
    except WorkerError as error:
        sys.exit(f"error: {error}")
