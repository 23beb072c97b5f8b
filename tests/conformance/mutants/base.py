"""A correct worker for every version of the bridge protocol, cut into small methods.

Each method is something that a worker can get wrong: mutants.py overrides them one at a time. docs/examples/worker.py is
the worker to learn from; this one is here to be broken.
"""

import hashlib
import os
import signal
import struct
import sys
import threading
import time
import traceback

import msgpack
from nodes import BROKEN, NODES, PROVIDER, TYPES, Cancelled, File
from services import Services

VERSION = 6
MAX_INTEGER = 2**53


class Call:
    """One request, from its first frame to its terminal one."""

    def __init__(self, worker, kind, request_id, data):
        self.worker, self.kind, self.id, self.data = worker, kind, request_id, data
        self.cancelled = threading.Event()

    def check(self):
        if self.cancelled.is_set():
            raise Cancelled("the request was cancelled")

    def progress(self, done, total):
        self.worker.send("progress", self.id, self.worker.progress(done, total))

    def secret(self, name):
        return (self.data.get("secrets") or {}).get(name) or os.environ.get(name)


class Worker(Services):
    version = VERSION
    grace = 0.5

    def __init__(self):
        self.max_frame = int(os.environ.get("NODETOOL_BRIDGE_MAX_FRAME_SIZE") or 256 << 20)
        self.chunk_size = int(os.environ.get("NODETOOL_BRIDGE_BLOB_CHUNK_SIZE") or 1 << 20)
        self.writing, self.state = threading.Lock(), threading.Lock()
        self.running, self.jobs, self.used = {}, {}, {}
        chosen = dict(zip(sys.argv, sys.argv[1:])).get("--namespaces") or os.environ.get("NODETOOL_WORKER_NAMESPACES")
        self.nodes = {name: node for name, node in NODES.items() if not chosen or name.split(".")[0] in chosen.split(",")}
        self.handlers = {
            "discover": self.discover,
            "worker.status": self.status,
            "execute": self.execute,
            "execute.stream": self.execute,
            "provider.list": self.provider_list,
            "provider.models": self.provider_models,
            **{f"provider.{kind}": self.provider_call for kind in PROVIDER.calls if self.version >= 6 or "reference" not in kind},
        }
        if self.version >= 2:
            self.handlers |= {
                "models.list_cached": lambda call: {"models": []},
                "models.delete": self.models_delete,
                "models.download": self.models_download,
            }
        if self.version >= 4:
            self.handlers |= {"job.start": self.job_start, "job.end": self.job_end, "models.evict": self.models_evict}
        if self.version >= 5:
            self.handlers["models.prepare"] = self.models_prepare

    # Starting and ending.

    def guard_stdout(self):
        """Frames have a descriptor of their own; what else is printed lands in the log."""
        self.stdout = os.dup(1)
        os.dup2(2, 1)

    def ready(self):
        print("NODETOOL_STDIO_READY", file=sys.stderr, flush=True)

    def run(self):
        self.guard_stdout()
        signal.signal(signal.SIGTERM, lambda *_: self.on_sigterm())
        self.ready()
        self.serve()
        self.end(self.grace)

    def on_sigterm(self):
        self.end(0)

    def end(self, grace):
        self.wait_for_requests(grace)
        self.cancel_everything()
        self.wait_for_requests(0.5)
        self.give_up()
        self.end_children()
        self.exit()

    def wait_for_requests(self, seconds):
        deadline = time.monotonic() + seconds
        for thread in threading.enumerate():
            if thread not in (threading.current_thread(), threading.main_thread()):
                thread.join(max(0, deadline - time.monotonic()))

    def cancel_everything(self):
        for call in list(self.running.values()):
            call.cancelled.set()

    def give_up(self):
        """What does not listen is answered for, and left behind; a host that reads no more is not waited for."""

        def answer():
            for call in list(self.running.values()):
                self.forget(call)
                self.fail(call.id, "cancelled: the worker ends, and the node did not stop")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        thread.join(0.3)

    def end_children(self):
        for child in NODES["test.Child"].children:
            child.kill()
            child.wait()

    def exit(self):
        os._exit(0)

    # Frames in.

    def read(self, size):
        return sys.stdin.buffer.read(size)

    def serve(self):
        while len(header := self.read(4)) == 4:
            (length,) = struct.unpack(">I", header)
            if length > self.max_frame:
                self.on_oversized(length)
                return
            if len(payload := self.read(length)) < length:
                self.on_truncated(payload)
                return
            self.on_payload(payload)

    def on_oversized(self, length):
        self.fail(None, f"the frame exceeds the maximum size ({length} > {self.max_frame})")

    def on_truncated(self, payload):
        pass

    def on_payload(self, payload):
        try:
            message = self.plain(self.unpack(payload))
        except Exception as error:
            self.fail(self.salvage(payload), f"malformed MessagePack: {error}")
            return
        if isinstance(message, dict):
            self.on_message(message)
        else:
            self.on_no_map(message)

    def on_no_map(self, message):
        self.fail(None, f"Expected a msgpack map, got {type(message).__name__}")

    def unpack(self, payload):
        return msgpack.unpackb(
            payload, strict_map_key=False, unicode_errors="surrogateescape", ext_hook=lambda code, data: self.extension(code)
        )

    def extension(self, code):
        return None

    def plain(self, value):
        """Without what no host can read back: timestamps, keys that are no text, integers beyond 2**53."""
        if isinstance(value, dict):
            return {key if isinstance(key, str) else str(key): self.plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        if type(value) is int:
            return self.integer(value)
        return None if isinstance(value, msgpack.Timestamp) else value

    def integer(self, value):
        return value if abs(value) <= MAX_INTEGER else float(value)

    def salvage(self, payload):
        """The id of a payload that cannot be read as a whole."""
        unpacker = msgpack.Unpacker()
        unpacker.feed(payload.partition(b"request_id")[2])
        try:
            return self.request_id(unpacker.unpack())
        except Exception:
            return None

    def request_id(self, value):
        return value if isinstance(value, str) else None

    def on_message(self, message):
        kind, request_id = message.get("type"), self.request_id(message.get("request_id"))
        if kind == "cancel":
            self.on_cancel(request_id)
            return
        call = Call(self, kind, request_id, self.data_of(message))
        with self.state:
            self.running[request_id] = call
        self.start(call)

    def data_of(self, message):
        data = message.get("data")
        return {} if data is None else data

    def on_cancel(self, request_id):
        if call := self.running.get(request_id):
            call.cancelled.set()

    # Frames out.

    def start(self, call):
        threading.Thread(target=self.answer, args=(call,), daemon=True).start()

    def answer(self, call):
        """Ends every request in exactly one terminal frame."""
        try:
            reply = self.reply_to(call)
            self.forget(call)
            self.send("discover" if call.kind == "discover" else "result", self.answer_id(call), reply)
        except Exception as error:
            self.forget(call)
            self.fail(self.answer_id(call), self.error_text(error), self.traceback_of(error))

    def forget(self, call):
        with self.state:
            if self.running.get(call.id) is call:
                del self.running[call.id]

    def answer_id(self, call):
        return call.id

    def error_text(self, error):
        return str(error) or repr(error)

    def traceback_of(self, error):
        return {"traceback": "".join(traceback.format_exception(error))}

    def fail(self, request_id, text, more=()):
        self.send("error", request_id, {"error": text, **dict(more)})

    def frame(self, kind, request_id, data):
        return {"type": kind, "request_id": request_id, "data": data}

    def pack(self, frame):
        return msgpack.packb(frame, unicode_errors="replace")

    def send(self, kind, request_id, data):
        payload = self.pack(self.frame(kind, request_id, data))
        if len(payload) > self.max_frame:
            self.on_too_large(len(payload))
        with self.writing:
            self.write(self.header(payload) + payload)

    def on_too_large(self, size):
        raise ValueError(f"the answer exceeds the maximum frame size ({size} > {self.max_frame})")

    def header(self, payload):
        return struct.pack(">I", len(payload))

    def write(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self.stdout, view) :]

    # Answers.

    def reply_to(self, call):
        if not isinstance(call.data, dict):
            raise TypeError(f"`data`: expected a map, got {type(call.data).__name__}")
        if call.kind not in self.handlers:
            return self.unknown_kind(call)
        return self.handlers[call.kind](call)

    def unknown_kind(self, call):
        for program in ("comfy.", "blender."):
            if str(call.kind).startswith(program) and self.version >= 3:
                raise ValueError(f"{call.kind} is not available: this worker reaches no {program[:-1]}")
        group = "provider message" if str(call.kind).startswith("provider.") else "message"
        raise ValueError(f"Unknown {group} type: {call.kind}")

    def discover(self, call):
        return {
            "protocol_version": self.version,
            "nodes": [self.metadata(name, node) for name, node in self.nodes.items()],
            "load_errors": self.load_errors(),
        }

    def load_errors(self):
        return [BROKEN]

    def metadata(self, name, node):
        return {
            "node_type": name,
            "title": name.split(".")[-1],
            "description": node.does,
            "properties": [self.property(name, *field) for name, field in node.fields.items()],
            "outputs": [{"name": slot, "type": {"type": kind}} for slot, kind in node.outputs.items()],
            "required_settings": list(node.settings),
            "recommended_models": [],
            "is_streaming_output": node.streams,
            "is_streaming_input": False,
            "is_dynamic": False,
        }

    def property(self, name, kind, default):
        return {"name": name, "type": {"type": kind}} | ({} if default is None else {"default": default})

    def status(self, call):
        return {
            "protocol_version": self.version,
            "node_count": len(self.nodes),
            "provider_count": 1,
            "namespaces": sorted({name.split(".")[0] for name in self.nodes}),
            "load_errors": self.load_errors(),
            "transport": "stdio",
            "max_frame_size": self.max_frame,
            "comfy": {"enabled": False},
            "blender": {"enabled": False},
            "model_prepare_backends": [],
        }

    def execute(self, call):
        name = call.data.get("node_type")
        node = self.node(name)
        self.note_job(call)
        result = node.run(call, **self.fields(name, node, call.data))
        if not node.streams:
            call.check()
            slots = self.slots({"output": result})
            if call.kind == "execute.stream":
                self.send("chunk", call.id, slots)
                return self.end_of_stream(slots)
            return self.chunked(call, slots)
        slots = {"outputs": {}, "blobs": {}}
        for index, item in enumerate(result):
            call.check()
            slots = self.slots(item)
            if call.kind == "execute.stream":
                self.chunk(call, index, slots)
        return self.end_of_stream(slots) if call.kind == "execute.stream" else self.chunked(call, slots)

    def chunk(self, call, index, slots):
        self.send("chunk", call.id, slots)

    def end_of_stream(self, last):
        return {"outputs": {}, "blobs": {}}

    def node(self, name):
        if name == BROKEN["module"]:
            raise ValueError(f"{name} could not be loaded: {BROKEN['error']}")
        if not isinstance(name, str):
            raise TypeError(f"`node_type`: expected a text, got {type(name).__name__}")
        if name not in self.nodes:
            raise ValueError(f"Unknown node type: {name}")
        return self.nodes[name]

    def fields(self, name, node, data):
        given = dict(self.part(data, "fields"))
        for field, blob in self.part(data, "blobs").items():
            given[field] = self.reference(field, blob)
        for field in given.keys() - node.fields.keys():
            self.unknown_field(name, field)
        return {field: self.convert(field, given.get(field), *of) for field, of in node.fields.items()}

    def part(self, data, name):
        part = data.get(name)
        if part is not None and not isinstance(part, dict):
            raise TypeError(f"`{name}`: expected a map, got {type(part).__name__}")
        return part or {}

    def unknown_field(self, node, field):
        print(f"warning: {node} has no field `{field}`", file=sys.stderr, flush=True)

    def convert(self, field, value, kind, default):
        if value is None:
            return self.default(default)
        if kind == "int" and isinstance(value, float) and value.is_integer():
            value = int(value)
        if kind != "any" and type(value) not in TYPES[kind]:
            return self.wrong_type(field, kind, value)
        return value

    def default(self, default):
        return default

    def wrong_type(self, field, kind, value):
        raise TypeError(f"field `{field}`: expected {kind}, got {type(value).__name__}")

    def reference(self, field, blob):
        if isinstance(blob, list):
            return [self.reference(field, item) for item in blob]
        if isinstance(blob, str):
            blob = blob.encode(errors="surrogateescape")
        if not isinstance(blob, bytes):
            raise TypeError(f"blob `{field}`: expected bytes, got {type(blob).__name__}")
        return File(blob)

    def slots(self, values):
        """Files that are outputs travel beside their references, those inside a list or a map in them."""
        outputs, blobs = {}, {}
        for slot, value in values.items():
            if isinstance(value, File):
                blobs[slot] = value["data"]
                value = self.output_reference(slot, value)
            outputs[slot] = self.nested(value)
        return {"outputs": outputs, "blobs": blobs}

    def output_reference(self, slot, value):
        return {"type": value["type"], "uri": f"blob://{slot}"}

    def nested(self, value):
        return value

    def progress(self, done, total):
        return {"progress": done, "total": total}

    # Blobs in chunks.

    def chunked(self, call, reply):
        if self.version < 5 or call.data.get("blob_transfer") != "chunked-v1" or not reply.get("blobs"):
            return reply
        for name, blob in reply["blobs"].items():
            self.send("blob.start", call.id, self.blob_start(name, blob))
            size = max(1, min(self.chunk_size, self.max_frame // 2))
            for offset in range(0, len(blob), size):
                self.blob_chunk(call, name, offset, blob[offset : offset + size])
            self.blob_end(call, name, blob)
        return self.without_blobs(reply)

    def blob_start(self, name, blob):
        return {"name": name, "size": len(blob)}

    def blob_chunk(self, call, name, offset, part):
        self.send("blob.chunk", call.id, {"name": name, "offset": offset, "bytes": part})

    def blob_end(self, call, name, blob):
        self.send("blob.end", call.id, {"name": name, "size": len(blob), "sha256": self.digest(blob)})

    def digest(self, blob):
        return hashlib.sha256(blob).hexdigest()

    def without_blobs(self, reply):
        return {**reply, "blobs": {}}
