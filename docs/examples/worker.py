"""A whole worker for version 1 of the bridge protocol. It needs `pip install msgpack`; docs/conformance.md explains it."""
import os, signal, struct, sys, threading, time, traceback
import msgpack

LIMIT = int(os.environ.get("NODETOOL_BRIDGE_MAX_FRAME_SIZE", 256 << 20))
frames = os.fdopen(os.dup(1), "wb", closefd=False)  # Frames have a descriptor of their own,
os.dup2(2, 1)  # and what anybody prints lands in the log.
running, writing = {}, threading.Lock()

# Nodes. Their parameters are the fields, the defaults say of which type, and what they yield is the output.

def Echo(cancelled, value=None):
    """Gives back its value."""
    yield value

def Add(cancelled, a=0.0, b=0.0):
    """Adds two numbers."""
    yield a + b

def Sleep(cancelled, ms=100.0):
    """Sleeps until it is cancelled."""
    cancelled.wait(min(ms / 1000, threading.TIMEOUT_MAX))
    yield ms

def Stream(cancelled, n=10):
    """Streams numbers."""
    yield from range(n)

def Fail(cancelled, message="failed on purpose"):
    """Fails."""
    raise RuntimeError(message)

NODES = {f"test.{node.__name__}": node for node in (Echo, Add, Sleep, Stream, Fail)}
ALLOWED = dict(zip(sys.argv, sys.argv[1:])).get("--namespaces") or os.environ.get("NODETOOL_WORKER_NAMESPACES")
NODES = {name: node for name, node in NODES.items() if not ALLOWED or name.split(".")[0] in ALLOWED.split(",")}
NAMES = {type(None): "any", float: "float", int: "int", str: "str"}
TYPES = {type(None): (object,), float: (float, int), int: (int,), str: (str,)}

def fields(node):
    return dict(zip(node.__code__.co_varnames[1:], node.__defaults__))

def metadata(name, node):
    return {"node_type": name, "title": node.__name__, "description": node.__doc__, "is_streaming_output": node is Stream,
            "properties": [{"name": field, "type": {"type": NAMES[type(default)]}, **({} if default is None else {"default": default})}
                           for field, default in fields(node).items()],
            "outputs": [{"name": "output", "type": {"type": "any"}}], "required_settings": [], "recommended_models": [],
            "is_streaming_input": False, "is_dynamic": False}

# Requests.

PROVIDER_CALLS = ("models generate stream text_to_image image_to_image text_to_video image_to_video text_to_audio "
                  "tts tts_encoded asr embedding").split()

def send(kind, request_id, data):
    payload = msgpack.packb({"type": kind, "request_id": request_id, "data": data}, unicode_errors="replace")
    if len(payload) > LIMIT:
        raise ValueError(f"the answer exceeds the maximum frame size ({len(payload)} > {LIMIT})")
    with writing:
        frames.write(struct.pack(">I", len(payload)) + payload)
        frames.flush()

def serve(kind, request_id, data, cancelled):
    """Whatever happens, a request ends in one terminal frame."""
    try:
        answer = reply(kind, request_id, data, cancelled)
        running.pop(request_id, None)
        send("discover" if kind == "discover" else "result", request_id, answer)
    except Exception as error:
        running.pop(request_id, None)
        send("error", request_id, {"error": str(error) or repr(error), "traceback": traceback.format_exc()})

def reply(kind, request_id, data, cancelled):
    if not isinstance(data, dict):
        raise TypeError(f"`data`: expected a map, got {type(data).__name__}")
    if kind == "discover":
        return {"protocol_version": 1, "nodes": [metadata(*item) for item in NODES.items()], "load_errors": []}
    if kind == "worker.status":
        return {"protocol_version": 1, "node_count": len(NODES), "provider_count": 0, "load_errors": [], "transport": "stdio",
                "namespaces": sorted({name.split(".")[0] for name in NODES}), "max_frame_size": LIMIT, "comfy": {"enabled": False}, "blender": {"enabled": False},
                "model_prepare_backends": []}
    if kind == "provider.list":
        return {"providers": []}
    if str(kind).removeprefix("provider.") in PROVIDER_CALLS:
        raise ValueError(f"Unknown provider: {data.get('provider')}")
    if kind not in ("execute", "execute.stream"):
        raise ValueError(f"Unknown {'provider ' * str(kind).startswith('provider.')}message type: {kind}")
    name = expect(str, data, "node_type")
    if name not in NODES:
        raise ValueError(f"Unknown node type: {name}")
    slots = {"outputs": {}, "blobs": {}}
    for value in NODES[name](cancelled, **arguments(name, data)):
        if cancelled.is_set():
            raise RuntimeError("cancelled")
        slots = outputs(value)
        if kind == "execute.stream":
            send("chunk", request_id, slots)
    return {"outputs": {}, "blobs": {}} if kind == "execute.stream" else slots

# Values.

class File(dict):
    """A reference with its bytes in it."""

def file(field, blob):
    if isinstance(blob, list):
        return [file(field, item) for item in blob]
    if isinstance(blob, str):
        blob = blob.encode(errors="surrogateescape")  # Old encoders have no bytes.
    return File(type="asset", uri="", data=expect(bytes, {field: blob}, field))

def expect(kind, data, key, default=None):
    value = default if data.get(key) is None else data[key]
    if not isinstance(value, kind):
        raise TypeError(f"`{key}`: expected {kind.__name__}, got {type(value).__name__}")
    return value

def arguments(name, data):
    given = dict(expect(dict, data, "fields", {}))
    given |= {field: file(field, blob) for field, blob in expect(dict, data, "blobs", {}).items()}
    known = fields(NODES[name])
    for field in given.keys() - known.keys():
        print(f"warning: {name} has no field `{field}`", file=sys.stderr)
    for field, default in known.items():
        value = default if given.get(field) is None else given[field]
        if type(default) is int and type(value) is float and value.is_integer():
            value = int(value)  # JavaScript has floats only.
        if type(value) is bool and default is not None or not isinstance(value, TYPES[type(default)]):
            raise TypeError(f"field `{field}`: expected {NAMES[type(default)]}, got {type(value).__name__}")
        known[field] = value
    return known

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

# Frames.

def unpack(payload):
    options = {"strict_map_key": False, "unicode_errors": "surrogateescape", "ext_hook": lambda code, data: None}
    return plain(msgpack.unpackb(payload, **options))

def salvaged_id(payload):
    unpacker = msgpack.Unpacker()
    unpacker.feed(payload.partition(b"request_id")[2])
    try:
        return text(unpacker.unpack())
    except Exception:
        return None

def text(value):
    return value if isinstance(value, str) else None

def receive(payload):
    try:
        message = unpack(payload)
    except Exception as error:
        return send("error", salvaged_id(payload), {"error": f"Malformed MessagePack: {error}"})
    if not isinstance(message, dict):
        return send("error", None, {"error": f"Expected a msgpack map, got {type(message).__name__}"})
    kind, request_id, data = message.get("type"), text(message.get("request_id")), message.get("data")
    if kind == "cancel":
        return running.get(request_id, threading.Event()).set()  # One that has ended needs none.
    cancelled = running[request_id] = threading.Event()
    request = (kind, request_id, {} if data is None else data, cancelled)
    threading.Thread(target=serve, args=request, name="request", daemon=True).start()

def end(grace):
    """Requests get a short time to end, then they are cancelled; what does not listen is left behind."""
    for patience in (grace, 0.5):
        deadline = time.monotonic() + patience
        for thread in threading.enumerate():
            if thread.name == "request":
                thread.join(max(0, deadline - time.monotonic()))
        for cancelled in list(running.values()):
            cancelled.set()
    os._exit(0)

def end_on_sigterm():
    signal.sigwait({signal.SIGTERM})
    end(0)

# A handler would wait for the main thread, which may be about to wait for input.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
threading.Thread(target=end_on_sigterm, daemon=True).start()
print("NODETOOL_STDIO_READY", file=sys.stderr, flush=True)
while len(header := sys.stdin.buffer.read(4)) == 4:
    (length,) = struct.unpack(">I", header)
    if length > LIMIT:
        send("error", None, {"error": f"Incoming frame exceeds the maximum size ({length} > {LIMIT})"})
        break
    if len(payload := sys.stdin.buffer.read(length)) == length:
        receive(payload)
end(1)
