"""The bridge protocol between a host and functions that are nodes. It needs msgpack and nothing else."""
import os, signal, struct, sys, threading, time, traceback
import msgpack

LIMIT = int(os.environ.get("NODETOOL_BRIDGE_MAX_FRAME_SIZE", 256 << 20))
TYPES = {str: "str", int: "int", float: "float", bool: "bool", list: "list", dict: "dict", bytes: "asset"}
CALLS = "models generate stream text_to_image image_to_image text_to_video image_to_video text_to_audio tts asr embedding"
NODES, running, writing = {}, {}, threading.Lock()
frames = os.fdopen(os.dup(1), "wb", closefd=False)  # Frames have a descriptor of their own,
os.dup2(2, 1)  # and what anybody prints lands in the log.

def check(holds, otherwise):
    if not holds:
        raise ValueError(otherwise)

def send(kind, request_id, data):
    payload = msgpack.packb({"type": kind, "request_id": request_id, "data": data}, unicode_errors="replace")
    check(len(payload) <= LIMIT, f"the answer exceeds the maximum frame size ({len(payload)} > {LIMIT})")
    with writing:
        frames.write(struct.pack(">I", len(payload)) + payload)
        frames.flush()

def fields(node):
    """Name, type and default of each."""
    for name, given in zip(node.__code__.co_varnames[1:], node.__defaults__ or ()):
        yield (name, given, None) if isinstance(given, type) else (name, type(given), given)

def described(name, node):
    default = lambda given: {"required": True} if given is None else {"default": given}
    properties = [{"name": key, "type": {"type": TYPES[kind]}, **default(given)} for key, kind, given in fields(node)]
    return {"node_type": name, "title": node.__name__, "description": node.__doc__ or "", "properties": properties,
            "outputs": [{"name": "output", "type": {"type": "any"}}], "required_settings": [], "recommended_models": [],
            "is_streaming_output": False, "is_streaming_input": False, "is_dynamic": False}

def execute(data, progress):
    check(isinstance(data.get("node_type"), str), "`node_type` has to be a text")
    check(data["node_type"] in NODES, f"Unknown node type: {data['node_type']}")
    values, given = {}, (data.get("fields") or {}) | (data.get("blobs") or {})
    for name, kind, default in fields(NODES[data["node_type"]]):
        value = default if given.get(name) is None else given[name]
        if {type(value), kind} == {int, float} and value == value // 1:
            value = kind(value)  # Hosts write whole numbers either way.
        found = "nothing" if value is None else type(value).__name__
        check(type(value) is kind, f"field `{name}`: expected {TYPES[kind]}, got {found}")
        values[name] = value
    return {"outputs": {"output": NODES[data["node_type"]](progress, **values)}, "blobs": {}}

def answer(kind, data, progress):
    check(isinstance(data, dict), f"`data`: expected a map, got {type(data).__name__}")
    if kind == "discover":
        return {"protocol_version": 1, "nodes": [described(*node) for node in NODES.items()], "load_errors": []}
    if kind == "worker.status":
        return {"protocol_version": 1, "node_count": len(NODES), "provider_count": 0, "load_errors": [], "transport": "stdio",
                "namespaces": sorted({name.split(".")[0] for name in NODES}), "max_frame_size": LIMIT,
                "comfy": {"enabled": False}, "blender": {"enabled": False}, "model_prepare_backends": []}
    if kind == "provider.list":
        return {"providers": []}
    check(str(kind).removeprefix("provider.") not in CALLS.split(), f"Unknown provider: {data.get('provider')}")
    what = "provider message" if str(kind).startswith("provider.") else "message"
    check(kind in ("execute", "execute.stream"), f"Unknown {what} type: {kind}")
    return execute(data, progress)

def request(kind, request_id, data, cancelled):
    """Whatever happens, it ends in one terminal frame."""
    def progress(done, total):
        check(not cancelled.is_set(), "cancelled")
        send("progress", request_id, {"progress": done, "total": total})

    try:
        result = answer(kind, data, progress)
        if kind == "execute.stream":
            send("chunk", request_id, result)
            result = {"outputs": {}, "blobs": {}}
        send("discover" if kind == "discover" else "result", request_id, result)
    except Exception as error:
        send("error", request_id, {"error": str(error) or repr(error), "traceback": traceback.format_exc()})
    if running.get(request_id) is cancelled:
        del running[request_id]

def receive(payload, request_id=None):
    text = lambda value: value if isinstance(value, str) else None
    try:  # The id is looked for first: the payload may be broken behind it.
        rest = msgpack.Unpacker(unicode_errors="replace")
        rest.feed(payload.partition(b"request_id")[2])
        request_id = next(iter(rest), None)
        message = msgpack.unpackb(payload, strict_map_key=False, unicode_errors="surrogateescape", ext_hook=lambda *_: None)
        check(isinstance(message, dict), f"Expected a msgpack map, got {type(message).__name__}")
    except Exception as error:
        return send("error", text(request_id), {"error": str(error) or repr(error)})
    kind, request_id, data = message.get("type"), text(message.get("request_id")), message.get("data")
    if kind == "cancel":
        return running.get(request_id, threading.Event()).set()  # One that has ended needs none.
    cancelled = running[request_id] = threading.Event()
    threading.Thread(target=request, args=(kind, request_id, {} if data is None else data, cancelled), daemon=True).start()

def serve(namespace, *nodes):
    """Answers until the host closes the pipe."""
    only = dict(zip(sys.argv, sys.argv[1:])).get("--namespaces") or os.environ.get("NODETOOL_WORKER_NAMESPACES") or namespace
    NODES.update({f"{namespace}.{node.__name__}": node for node in nodes if namespace in only.split(",")})
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print("NODETOOL_STDIO_READY", file=sys.stderr, flush=True)
    while len(header := sys.stdin.buffer.read(4)) == 4:
        (length,) = struct.unpack(">I", header)
        if length > LIMIT:
            send("error", None, {"error": f"Incoming frame exceeds the maximum size ({length} > {LIMIT})"})
            break
        if len(payload := sys.stdin.buffer.read(length)) == length:
            receive(payload)
    until = time.monotonic() + 1  # Requests under way have so long.
    while running and time.monotonic() < until:
        time.sleep(0.01)
    os._exit(0)
