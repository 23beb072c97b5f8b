"""Asks the worker what a host asks: python3 test_worker.py"""
import pathlib, struct, subprocess, sys, unittest
import msgpack

WORKER = pathlib.Path(__file__).with_name("worker.py")

def ask(*messages):
    """Sends the parts of one request and gives what came back, the terminal frame last."""
    payloads = [msgpack.packb({"type": kind, "request_id": "1", "data": data}) for kind, data in messages]
    sent = b"".join(struct.pack(">I", len(payload)) + payload for payload in payloads)
    out = subprocess.run([sys.executable, WORKER], input=sent, stdout=subprocess.PIPE, timeout=60).stdout
    frames = []
    while out:
        (length,) = struct.unpack(">I", out[:4])
        frames.append(msgpack.unpackb(out[4 : 4 + length]))
        out = out[4 + length :]
    return frames

def execute(node, **fields):
    return "execute", {"node_type": f"acme.{node}", "fields": fields}

class Worker(unittest.TestCase):
    def test_tells_what_it_has(self):
        (frame,) = ask(("discover", {}))
        self.assertEqual([node["node_type"] for node in frame["data"]["nodes"]], ["acme.Repeat", "acme.Wait"])

    def test_repeats(self):
        (frame,) = ask(execute("Repeat", text="ho", times=3))
        self.assertEqual(frame["data"]["outputs"], {"output": "hohoho"})

    def test_names_the_field_that_is_wrong(self):
        (frame,) = ask(execute("Repeat", text="ho", times="often"))
        self.assertEqual((frame["type"], frame["data"]["error"]), ("error", "field `times`: expected int, got str"))

    def test_tells_how_far_it_is(self):
        first, *_, result = ask(execute("Wait", seconds=0.2))
        self.assertEqual((first["type"], first["data"]["total"]), ("progress", 0.2))
        self.assertEqual((result["type"], result["data"]["outputs"]), ("result", {"output": 0.2}))

    def test_ends_when_it_is_cancelled(self):
        *_, error = ask(execute("Wait", seconds=1000), ("cancel", {}))
        self.assertEqual((error["type"], error["data"]["error"]), ("error", "cancelled"))

unittest.main()
