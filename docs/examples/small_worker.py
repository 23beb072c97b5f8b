"""A worker with one node: full marks for what of version 1 it can be asked. docs/conformance.md explains it."""
import os, signal, struct, sys
import msgpack

LIMIT = int(os.environ.get("NODETOOL_BRIDGE_MAX_FRAME_SIZE", 256 << 20))
frames = os.fdopen(os.dup(1), "wb", closefd=False)  # Frames have a descriptor of their own,
os.dup2(2, 1)  # and what anybody prints lands in the log.
UPPER = {"node_type": "acme.Upper", "title": "Upper", "description": "A text in capitals.",
         "properties": [{"name": "text", "type": {"type": "str"}, "default": ""}],
         "outputs": [{"name": "output", "type": {"type": "str"}}], "required_settings": [], "recommended_models": [],
         "is_streaming_output": False, "is_streaming_input": False, "is_dynamic": False}
ALLOWED = dict(zip(sys.argv, sys.argv[1:])).get("--namespaces") or os.environ.get("NODETOOL_WORKER_NAMESPACES") or "acme"
NODES = [UPPER] if "acme" in ALLOWED.split(",") else []
ANSWERS = {
    "discover": {"protocol_version": 1, "nodes": NODES, "load_errors": []},
    "worker.status": {"protocol_version": 1, "node_count": len(NODES), "provider_count": 0, "load_errors": [], "transport": "stdio",
                      "namespaces": ["acme"] * len(NODES), "max_frame_size": LIMIT, "comfy": {"enabled": False},
                      "blender": {"enabled": False}, "model_prepare_backends": []},
    "provider.list": {"providers": []},
}
CALLS = "models generate stream text_to_image image_to_image text_to_video image_to_video text_to_audio tts asr embedding"

def send(kind, request_id, data):
    request_id = request_id if isinstance(request_id, str) else None
    payload = msgpack.packb({"type": kind, "request_id": request_id, "data": data}, unicode_errors="replace")
    frames.write(struct.pack(">I", len(payload)) + payload)
    frames.flush()

def check(holds, otherwise):
    if not holds:
        raise ValueError(otherwise)

def reply(kind, data):
    check(isinstance(data, dict), f"`data`: expected a map, got {type(data).__name__}")
    if kind in ANSWERS:
        return ANSWERS[kind]
    check(str(kind).removeprefix("provider.") not in CALLS.split(), f"Unknown provider: {data.get('provider')}")
    what = "provider message" if str(kind).startswith("provider.") else "message"
    check(kind in ("execute", "execute.stream"), f"Unknown {what} type: {kind}")
    check(isinstance(data.get("node_type"), str), "`node_type` has to be a text")
    check(data["node_type"] in [node["node_type"] for node in NODES], f"Unknown node type: {data['node_type']}")
    text = (data.get("fields") or {}).get("text") or ""
    check(isinstance(text, str), f"field `text`: expected str, got {type(text).__name__}")
    return {"outputs": {"output": text.upper()}, "blobs": {}}

def receive(payload, request_id=None):
    try:  # The id is looked for first: the payload may be broken behind it.
        rest = msgpack.Unpacker(unicode_errors="replace")
        rest.feed(payload.partition(b"request_id")[2])
        request_id = next(iter(rest), None)
        message = msgpack.unpackb(payload, strict_map_key=False, unicode_errors="surrogateescape", ext_hook=lambda *_: None)
        request_id = message.get("request_id") if isinstance(message, dict) else None
        check(isinstance(message, dict), f"Expected a msgpack map, got {type(message).__name__}")
        if (kind := message.get("type")) != "cancel":  # What it is for has ended.
            data = {} if message.get("data") is None else message["data"]
            send("discover" if kind == "discover" else "result", request_id, reply(kind, data))
    except Exception as error:
        send("error", request_id, {"error": str(error) or repr(error)})

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("NODETOOL_STDIO_READY", file=sys.stderr, flush=True)
while len(header := sys.stdin.buffer.read(4)) == 4:
    (length,) = struct.unpack(">I", header)
    if length > LIMIT:
        send("error", None, {"error": f"Incoming frame exceeds the maximum size ({length} > {LIMIT})"})
        break
    if len(payload := sys.stdin.buffer.read(length)) == length:
        receive(payload)
