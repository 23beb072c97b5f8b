"""A whole worker for version 1 of the bridge protocol. It needs `pip install msgpack`; docs/conformance.md explains it."""
import os, signal, struct, sys, threading, time, traceback
import msgpack

LIMIT = int(os.environ.get("NODETOOL_BRIDGE_MAX_FRAME_SIZE", 256 << 20))
frames = os.fdopen(os.dup(1), "wb", closefd=False)  # Frames have a descriptor of their own,
os.dup2(2, 1)  # and what anybody prints lands in the log.
running, writing = {}, threading.Lock()

def sleep(cancelled, ms):
    cancelled.wait(min(ms / 1000, threading.TIMEOUT_MAX))
    return ms

def fail(cancelled, message):
    raise RuntimeError(message)

NODES = {  # What it does, its fields with their defaults, its code.
    "test.Echo": ("Gives back its value.", {"value": None}, lambda cancelled, value: value),
    "test.Add": ("Adds two numbers.", {"a": 0.0, "b": 0.0}, lambda cancelled, a, b: a + b),
    "test.Sleep": ("Sleeps until it is cancelled.", {"ms": 100.0}, sleep),
    "test.Stream": ("Streams numbers.", {"n": 10}, lambda cancelled, n: iter(range(n))),
    "test.Fail": ("Fails.", {"message": "failed on purpose"}, fail)}
TYPES = {type(None): "any", float: "float", int: "int", str: "str"}

def metadata(name, does, fields, code):
    return {"node_type": name, "title": name.split(".")[-1], "description": does, "is_streaming_output": name == "test.Stream",
            "properties": [{"name": f, "type": {"type": TYPES[type(d)]}, "default": d} for f, d in fields.items()],
            "outputs": [{"name": "output", "type": {"type": "any"}}], "required_settings": [], "recommended_models": [],
            "is_streaming_input": False, "is_dynamic": False}

def send(kind, request_id, data):
    payload = msgpack.packb({"type": kind, "request_id": request_id, "data": data}, unicode_errors="surrogateescape")
    if len(payload) > LIMIT:
        raise ValueError(f"the answer exceeds the maximum frame size ({len(payload)} > {LIMIT})")
    with writing:
        frames.write(struct.pack(">I", len(payload)) + payload)
        frames.flush()

def answer(kind, request_id, data, cancelled):
    """Whatever happens, a request ends in one terminal frame."""
    try:
        reply = reply_to(kind, request_id, data, cancelled)
        running.pop(request_id, None)
        send("discover" if kind == "discover" else "result", request_id, reply)
    except Exception as error:
        running.pop(request_id, None)
        send("error", request_id, {"error": str(error) or repr(error), "traceback": traceback.format_exc()})

def reply_to(kind, request_id, data, cancelled):
    if not isinstance(data, dict):
        raise TypeError(f"`data`: expected a map, got {type(data).__name__}")
    if kind == "discover":
        return {"protocol_version": 1, "nodes": [metadata(name, *node) for name, node in NODES.items()], "load_errors": []}
    if kind == "worker.status":
        return {"protocol_version": 1, "node_count": len(NODES), "provider_count": 0, "namespaces": ["test"], "load_errors": [],
                "transport": "stdio", "max_frame_size": LIMIT, "comfy": {"enabled": False}, "blender": {"enabled": False},
                "model_prepare_backends": []}
    if kind == "provider.list":
        return {"providers": []}
    if kind not in ("execute", "execute.stream"):
        raise ValueError(f"Unknown {'provider ' * str(kind).startswith('provider.')}message type: {kind}")
    if str(data.get("node_type")) not in NODES:
        raise ValueError(f"Unknown node type: {data.get('node_type')}")
    _, defaults, code = NODES[data["node_type"]]
    blobs = {name: reference(blob) for name, blob in (data.get("blobs") or {}).items()}
    given = {**(data.get("fields") or {}), **blobs}
    if unknown := given.keys() - defaults.keys():
        print(f"warning: {data['node_type']} has no fields {unknown}", file=sys.stderr)
    result = code(cancelled, **{name: convert(name, given.get(name), default) for name, default in defaults.items()})
    slots = {"outputs": {}, "blobs": {}}
    for item in result if hasattr(result, "__next__") else [result]:
        if cancelled.is_set():
            raise RuntimeError("cancelled")
        slots = outputs(item)
        if kind == "execute.stream":
            send("chunk", request_id, slots)
    return {"outputs": {}, "blobs": {}} if kind == "execute.stream" else slots

def convert(name, value, default):
    if value is None or default is None:
        return default if value is None else value
    if isinstance(default, int) and isinstance(value, float) and value.is_integer():
        return int(value)  # JavaScript has floats only.
    if type(value) not in {float: (float, int), int: (int,), str: (str,)}[type(default)]:
        raise TypeError(f"field `{name}`: expected {TYPES[type(default)]}, got {type(value).__name__}")
    return value

class File(dict):
    """A reference with its bytes in it."""

def reference(blob):
    if isinstance(blob, list):
        return [reference(item) for item in blob]
    return File(type="asset", uri="", data=blob.encode(errors="surrogateescape") if isinstance(blob, str) else blob)

def outputs(value):
    """A file that is an output goes beside its reference; one inside a list or a map stays in it."""
    if isinstance(value, File):
        return {"outputs": {"output": {"type": "asset", "uri": "blob://output"}}, "blobs": {"output": value["data"]}}
    return {"outputs": {"output": value}, "blobs": {}}

def plain(value):
    """Without what no host could read: timestamps, keys that are no text, integers beyond 2**53."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if type(value) is int and abs(value) > 2**53:
        return float(value)
    return None if isinstance(value, msgpack.Timestamp) else value

def unpack(payload):
    options = {"strict_map_key": False, "unicode_errors": "surrogateescape", "ext_hook": lambda code, data: None}
    return plain(msgpack.unpackb(payload, **options))

def salvaged_id(payload):
    unpacker = msgpack.Unpacker()
    unpacker.feed(payload.partition(b"request_id")[2])
    try:
        request_id = unpacker.unpack()
    except Exception:
        request_id = None
    return request_id if isinstance(request_id, str) else None

def end(grace):
    """Requests get a short time to end, then they are cancelled; a thread that does not listen is left behind."""
    for patience in (grace, 0.5):
        deadline = time.monotonic() + patience
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join(max(0, deadline - time.monotonic()))
        for cancelled in list(running.values()):
            cancelled.set()
    os._exit(0)

def serve():
    read = sys.stdin.buffer.read
    while len(header := read(4)) == 4:
        (length,) = struct.unpack(">I", header)
        if length > LIMIT:
            return send("error", None, {"error": f"Incoming frame exceeds the maximum size ({length} > {LIMIT})"})
        if len(payload := read(length)) < length:
            return
        try:
            message = unpack(payload)
        except Exception as error:
            send("error", salvaged_id(payload), {"error": f"Malformed MessagePack: {error}"})
            continue
        if not isinstance(message, dict):
            send("error", None, {"error": f"Expected a msgpack map, got {type(message).__name__}"})
            continue
        kind, request_id, data = message.get("type"), message.get("request_id"), message.get("data")
        request_id = request_id if isinstance(request_id, str) else None
        if kind == "cancel":
            if request_id in running:
                running[request_id].set()
            continue
        cancelled = running[request_id] = threading.Event()
        data = {} if data is None else data
        threading.Thread(target=answer, args=(kind, request_id, data, cancelled), daemon=True).start()

signal.signal(signal.SIGTERM, lambda *_: end(0))
print("NODETOOL_STDIO_READY", file=sys.stderr, flush=True)
serve()
end(1)
