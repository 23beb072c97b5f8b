"""Goes through every message of the bridge protocol against a command, knowing nothing but MessagePack.

    python every_message.py millwork-worker --stdio --test-nodes

Every frame that comes back is held against `bridge-frames.schema.json`, the schema of the host that reads such frames.
Two kinds of frames are outside it: `update` and `blob.*`, which that host reads elsewhere, and an `error` that can be
given no id because the request had none that could be read. Exits 1 at the first thing that is not as it should be.
"""

import hashlib
import json
import os
import pathlib
import queue
import shutil
import struct
import subprocess
import sys
import tempfile
import threading

import jsonschema
import msgpack

SCHEMA = json.loads(pathlib.Path(__file__).with_name("bridge-frames.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
TERMINAL = {"result", "error", "discover"}
PATIENCE = 60


class Peer:
    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tempfile.mkdtemp()
        )
        self.frames = queue.Queue()
        self.ready = threading.Event()
        self.seen = {}
        self.ended = set()
        self.ids = 0
        threading.Thread(target=self.read, daemon=True).start()
        threading.Thread(target=self.read_log, daemon=True).start()

    def read(self):
        stdout = self.process.stdout
        while len(header := stdout.read(4)) == 4:
            self.frames.put(msgpack.unpackb(stdout.read(struct.unpack(">I", header)[0])))
        self.frames.put({"end": header})

    def read_log(self):
        for line in self.process.stderr:
            if line.strip() == b"NODETOOL_STDIO_READY":
                self.ready.set()

    def payload(self, payload):
        self.process.stdin.write(struct.pack(">I", len(payload)) + payload)
        self.process.stdin.flush()

    def send(self, kind, data=None, id=None, **more):
        if id is None:
            self.ids += 1
            id = f"{kind}-{self.ids}"
        self.payload(msgpack.packb({"type": kind, "request_id": id, "data": data, **more}))
        return id

    def receive(self):
        frame = self.frames.get(timeout=PATIENCE)
        assert "end" not in frame, f"the stream ended: {frame}"
        kind, id = frame["type"], frame["request_id"]
        self.seen[kind] = self.seen.get(kind, 0) + 1
        assert id not in self.ended, f"a frame after the terminal one: {frame}"
        if id is None:
            assert kind == "error", frame
            valid = {**frame, "request_id": "the one exception"}
        else:
            valid = frame
            if kind in TERMINAL:
                self.ended.add(id)
        if kind != "update" and not kind.startswith("blob."):
            VALIDATOR.validate(plain(valid))
        check_numbers(frame)
        return frame

    def frames_of(self, id):
        frames = []
        while True:
            frame = self.receive()
            assert frame["request_id"] == id, f"expected frames of {id}, got {frame}"
            frames.append(frame)
            if frame["type"] in TERMINAL:
                return frames

    def call(self, kind, data=None, **more):
        return self.frames_of(self.send(kind, data, **more))

    def ok(self, kind, data=None):
        frame = self.call(kind, data)[-1]
        assert frame["type"] in ("result", "discover"), f"{kind}: {frame}"
        return frame["data"]

    def fails(self, kind, data=None, text=""):
        frame = self.call(kind, data)[-1]
        assert frame["type"] == "error" and text in frame["data"]["error"], f"{kind}: {frame}"
        return frame["data"]


def plain(value):
    """What a JSON Schema can look at: bytes are text to it."""
    match value:
        case bytes():
            return "bytes"
        case dict():
            assert all(isinstance(key, str) for key in value), value
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
    return value


def check_numbers(value):
    """A host that only has doubles must be able to read every integer."""
    match value:
        case dict():
            for item in value.values():
                check_numbers(item)
        case list():
            for item in value:
                check_numbers(item)
        case int():
            assert abs(value) <= 2**53, value


def discover(peer):
    data = peer.ok("discover", {})
    assert data["protocol_version"] == 6
    for node in data["nodes"]:
        assert "." in node["node_type"] and node["title"] and node["description"], node
        for flag in ("is_streaming_output", "is_streaming_input", "is_dynamic"):
            assert isinstance(node[flag], bool), node
        for port in node["properties"] + node["outputs"]:
            assert port["name"] and port["type"]["type"], node
        assert isinstance(node["required_settings"], list) and isinstance(node["recommended_models"], list)
    assert [error["module"] for error in data["load_errors"]] == ["test.Broken"], data["load_errors"]
    by_type = {node["node_type"]: node for node in data["nodes"]}
    assert by_type["test.NeedsSecret"]["required_settings"] == ["TEST_SECRET"]
    assert by_type["test.Stream"]["is_streaming_output"]
    status = peer.ok("worker.status", {})
    assert status["node_count"] == len(by_type) and status["load_errors"] == data["load_errors"]
    assert status["transport"] == "stdio" and status["max_frame_size"] == 268435456
    assert status["comfy"]["enabled"] is False and status["blender"]["enabled"] is False
    assert isinstance(status["model_prepare_backends"], list)
    assert sorted({name.split(".")[0] for name in by_type}) == sorted(status["namespaces"])


def execute(peer):
    run = lambda node, fields=None, **more: peer.ok("execute", {"node_type": node, "fields": fields or {}, **more})
    assert run("test.Add", {"a": 1, "b": 2.5})["outputs"] == {"output": 3.5}
    identity = {"node_id": "n", "job_id": "j", "workflow_id": "w", "user_id": "u", "requires_vram_gb": 0.5, "secrets": {}}
    value = {"a": [1, 2.5, None, True, "ü"], "b": {"c": -(2**53)}}
    assert run("test.Echo", {"value": value}, blobs={}, **identity)["outputs"]["output"] == value
    echoed = run("test.Echo", blobs={"value": b"\x00\n\xff"})
    assert echoed["blobs"]["output"] == b"\x00\n\xff" and echoed["outputs"]["output"]["uri"] == "blob://output"
    digest = run("test.NeedsSecret", secrets={"TEST_SECRET": "abc"})["outputs"]["output"]
    assert digest == hashlib.sha256(b"abc").hexdigest()
    frames = peer.call("execute", {"node_type": "test.Progress", "fields": {"n": 5}})
    assert {frame["type"] for frame in frames[:-1]} == {"progress"}
    assert frames[-2]["data"]["progress"] == frames[-2]["data"]["total"] == 5
    peer.fails("execute", {"node_type": "nope.X"}, "Unknown node type: nope.X")
    peer.fails("execute", {"node_type": "test.Add", "fields": {"a": "x"}}, "`a`")
    peer.fails("execute", {"node_type": "test.NeedsSecret"}, "TEST_SECRET")
    assert peer.fails("execute", {"node_type": "test.Panic"}, "on purpose")["traceback"]
    assert peer.fails("execute", {"node_type": "test.Fail", "fields": {"kind": "timeout"}})["kind"] == "timeout"
    *chunks, end = peer.call("execute.stream", {"node_type": "test.Stream", "fields": {"n": 3, "bytes": 10}})
    assert [chunk["data"]["outputs"]["output"] for chunk in chunks] == [0, 1, 2]
    assert all(len(chunk["data"]["blobs"]["blob"]) == 10 for chunk in chunks)
    assert end["data"] == {"outputs": {}, "blobs": {}}


def chunked(peer):
    request = {"node_type": "test.BigBlob", "fields": {"bytes": 2_500_000}}
    whole = peer.ok("execute", request)["blobs"]["output"]
    start, *chunks, end, result = peer.call("execute", {**request, "blob_transfer": "chunked-v1"})
    assert (start["type"], start["data"]["size"]) == ("blob.start", len(whole))
    together = b""
    for chunk in chunks:
        assert chunk["type"] == "blob.chunk" and chunk["data"]["offset"] == len(together)
        together += chunk["data"]["bytes"]
    assert len(chunks) == 3 and together == whole and end["type"] == "blob.end"
    assert end["data"]["sha256"] == hashlib.sha256(whole).hexdigest()
    assert result["data"]["blobs"] == {} and result["data"]["outputs"]["output"]["uri"]


def cancel(peer):
    id = peer.send("execute", {"node_type": "test.Sleep", "fields": {"ms": 600_000}})
    peer.send("cancel", {}, id=id)
    assert peer.frames_of(id)[-1]["data"]["kind"] == "cancelled"
    peer.send("cancel", {}, id="nobody")
    id = peer.send("execute.stream", {"node_type": "test.Stream", "fields": {"n": 10**9}})
    assert peer.receive()["type"] == "chunk"
    peer.send("cancel", id=id)
    assert peer.frames_of(id)[-1]["type"] == "error"
    peer.ok("worker.status", {})


def providers(peer):
    listed = {provider["id"]: provider for provider in peer.ok("provider.list", {})["providers"]}
    capabilities = listed["test"]["capabilities"]
    assert listed["test"]["access"] == "in_process" and isinstance(listed["test"]["required_secrets"], list)
    ask = lambda kind, **data: peer.ok(f"provider.{kind}", {"provider": "test", "secrets": {}, **data})
    for kind in ("language", "image", "tts", "music", "asr", "video", "embedding", "3d"):
        (model,) = ask("models", model_type=kind)["models"]
        assert model["id"] and model["name"] and model["provider"] == "test", model
    assert ask("models", model_type="telepathy") == {"models": []}
    messages = [{"role": "user", "content": [{"type": "text", "text": "hello there"}]}]
    chat = {"messages": messages, "model": "m", "tools": None, "max_tokens": 5, "temperature": 0.5, "top_p": None}
    assert ask("generate", **chat)["message"] == {"role": "assistant", "content": "hello there"}
    *chunks, end = peer.call("provider.stream", {"provider": "test", **chat})
    assert "".join(chunk["data"]["content"] for chunk in chunks) == "hello there"
    assert [chunk["data"]["done"] for chunk in chunks] == [False, True] and end["data"] == {"done": True}
    image = {"model": "m", "prompt": "p", "negativePrompt": "", "width": 8, "height": 8, "numInferenceSteps": 1, "seed": 1}
    assert ask("text_to_image", params=image)["blobs"]["image"] == ask("text_to_image", **image)["blobs"]["image"]
    assert ask("image_to_image", image=b"picture", params={**image, "strength": 0.5})["blobs"]["image"] == b"picture"
    assert ask("text_to_video", params=image)["blobs"]["video"]
    assert ask("image_to_video", image=b"picture", params=image)["blobs"]["video"]
    assert ask("reference_to_video", reference_images=[b"a"], reference_videos=[b"b"], params=image)["blobs"]["video"]
    assert ask("text_to_audio", params={"prompt": "p", "model": "m", "durationSeconds": 1})["blobs"]["audio"]
    *chunks, end = peer.call("provider.tts", {"provider": "test", "text": "two words", "model": "m", "voice": None})
    assert len(chunks) == 2 and all(len(chunk["data"]["blobs"]["audio"]) % 2 == 0 for chunk in chunks)
    assert end["data"] == {"done": True}
    assert ask("tts_encoded", params={"text": "t", "model": "m"}, referenceAudio=b"r")["blobs"]["audio"]
    assert ask("asr", audio=b"1234", model="m", language=None)["text"] == "4 bytes"
    assert ask("embedding", text="a b", model="m")["embeddings"] == [[3.0, 1.0, 227.0]]
    assert len(ask("embedding", text=["a", "b"], model="m", dimensions=3)["embeddings"]) == 2
    assert {"generate", "text_to_image", "embedding"} <= set(capabilities)
    peer.fails("provider.dance", {}, "Unknown provider message type: provider.dance")
    peer.fails("provider.generate", {"provider": "nobody", **chat}, "nobody")
    peer.fails("provider.asr", {"provider": "test", "model": "m"}, "audio")


def jobs_and_models(peer):
    for _ in range(2):
        started = peer.ok("job.start", {"job_id": "job", "workflow_id": "w", "user_id": "u"})
        assert started == {"job_id": "job", "started": True}
    peer.ok("execute", {"node_type": "test.Sleep", "fields": {"ms": 1}, "job_id": "job", "node_id": "n"})
    ended = peer.ok("job.end", {"job_id": "job", "reason": "completed"})
    assert ended["known"] is True and isinstance(ended["released_nodes"], list)
    assert peer.ok("job.end", {"job_id": "job"}) == {"job_id": "job", "released_nodes": [], "known": False}
    assert isinstance(peer.ok("models.list_cached", {})["models"], list)
    for scope in ({}, {"node_ids": ["n"]}, {"job_id": "unknown"}, {"target_vram_gb": 1.0}):
        assert peer.ok("models.evict", scope)["evicted"] == []
    # The cache has no such repository, and neither has the hub, where there is a way to it.
    assert peer.ok("models.delete", {"repo_id": "a/b"}) == {"deleted": False}
    peer.fails("models.download", {"repo_id": "a/b", "path": None, "token": None}, "a/b")
    peer.fails("models.prepare", {"backend": "none", "model_type": "x"})


def other_programs(peer):
    for kind in ("comfy.run", "comfy.object_info", "blender.status", "blender.run"):
        peer.fails(kind, {}, "not available")


def bad_input(peer):
    for payload, text in ((b"\xc1", ""), (b"\x92\x01\x02", "Expected a msgpack map, got list"), (b"\x05", "got int")):
        peer.payload(payload)
        frame = peer.receive()
        assert frame["type"] == "error" and frame["request_id"] is None and text in frame["data"]["error"], frame
    whole = msgpack.packb({"type": "execute", "request_id": "salvaged", "data": {"node_type": "test.Add"}})
    peer.payload(whole[:-2])
    frame = peer.receive()
    assert frame["type"] == "error" and frame["request_id"] == "salvaged", frame
    # An id that is no text counts as none; a result that can carry no id is no frame a host could use.
    peer.payload(msgpack.packb({"type": "nope", "request_id": 7}))
    assert peer.receive()["request_id"] is None
    peer.fails("acme.dance", {}, "Unknown message type: acme.dance")
    peer.fails("execute", [])
    # Keys that nobody knows are passed over, `data` may be nil or absent.
    assert peer.call("worker.status", None, trace={"x": 1})[-1]["type"] == "result"
    peer.payload(msgpack.packb({"type": "discover", "request_id": "no data"}))
    assert peer.frames_of("no data")[-1]["type"] == "discover"


def the_end(peer):
    """In-flight work gets its answer, then the program is gone with status 0."""
    id = peer.send("execute", {"node_type": "test.Sleep", "fields": {"ms": 600_000}})
    peer.process.stdin.close()
    assert peer.frames_of(id)[-1]["data"]["kind"] == "cancelled"
    assert peer.frames.get(timeout=PATIENCE) == {"end": b""}, "something follows the last frame"
    assert peer.process.wait(PATIENCE) == 0


def main():
    program, *arguments = sys.argv[1:]
    # It works in a folder of its own.
    command = [shutil.which(program) and os.path.abspath(shutil.which(program)) or program, *arguments]
    os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp()
    peer = Peer(command)
    try:
        assert peer.ready.wait(PATIENCE), "never ready"
        for part in (
            discover, execute, chunked, cancel, providers, jobs_and_models, other_programs, bad_input, the_end
        ):
            print(f"{part.__name__:16}", end="", flush=True)
            part(peer)
            print("ok", flush=True)
    finally:
        peer.process.kill()
    print("frames:", ", ".join(f"{count} {kind}" for kind, count in sorted(peer.seen.items())))


main()
