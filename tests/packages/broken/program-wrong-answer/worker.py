"""A worker that answers `discover`, `worker.status` and `execute` and needs nothing but Python."""
import os, struct, sys

DOUBLE = {"node_type": "program_wrong_answer.Double", "title": "Double", "description": "Twice a number.",
          "properties": [{"name": "x", "type": {"type": "float"}, "default": 0.0}],
          "outputs": [{"name": "y", "type": {"type": "float"}}], "required_settings": [], "recommended_models": [],
          "is_streaming_output": False, "is_streaming_input": False, "is_dynamic": False}
DISCOVER = {"protocol_version": "the first", "nodes": "one", "load_errors": []}
STATUS = {"protocol_version": DISCOVER["protocol_version"], "node_count": 1, "provider_count": 0,
          "load_errors": DISCOVER["load_errors"], "transport": "stdio", "namespaces": [], "max_frame_size": 1 << 28,
          "comfy": {"enabled": False}, "blender": {"enabled": False}, "model_prepare_backends": []}


def pack(value):
    """The part of MessagePack that the answers need."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()
    if isinstance(value, list):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
    return b"\xdf" + struct.pack(">I", len(value)) + b"".join(pack(part) for item in value.items() for part in item)


def unpack(data, at=0):
    """A value and where the next one begins."""
    tag, at = data[at], at + 1

    def number(format):
        size = struct.calcsize(">" + format)
        return struct.unpack(">" + format, data[at:at + size])[0], at + size

    def items(count, at):
        found = []
        for _ in range(count):
            value, at = unpack(data, at)
            found.append(value)
        return found, at

    def text(length, at):
        return data[at:at + length].decode(errors="replace"), at + length

    def pairs(count, at):
        found, at = items(2 * count, at)
        return dict(zip(found[::2], found[1::2])), at

    if tag < 0x80 or tag >= 0xE0:
        return (tag if tag < 0x80 else tag - 256), at
    if tag < 0xC0:
        return pairs(tag & 15, at) if tag < 0x90 else items(tag & 15, at) if tag < 0xA0 else text(tag & 31, at)
    if tag in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[tag], at
    if 0xCA <= tag <= 0xD3:
        return number("fdBHIQbhiq"[tag - 0xCA])
    width = {0xC4: "B", 0xC5: "H", 0xC6: "I", 0xD9: "B", 0xDA: "H", 0xDB: "I", 0xDC: "H", 0xDD: "I", 0xDE: "H", 0xDF: "I"}[tag]
    count, at = number(width)
    return (text if tag < 0xDC else items if tag < 0xDE else pairs)(count, at)


frames = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
print("NODETOOL_STDIO_READY", file=sys.stderr, flush=True)
while len(header := sys.stdin.buffer.read(4)) == 4:
    message, _ = unpack(sys.stdin.buffer.read(struct.unpack(">I", header)[0]))
    kind, data = message.get("type"), message.get("data") or {}
    if kind == "cancel":
        continue
    answer = {"error": f"Unknown message type: {kind}"}
    if kind in ("discover", "worker.status"):
        answer = DISCOVER if kind == "discover" else STATUS
    elif kind == "provider.list":
        answer = {"providers": []}
    elif kind == "execute":
        answer = {"outputs": {"y": 2.0 * (data.get("fields") or {}).get("x", 0.0)}, "blobs": {}}
    kind = "error" if "error" in answer else "discover" if kind == "discover" else "result"
    payload = pack({"type": kind, "request_id": message.get("request_id"), "data": answer})
    frames.write(struct.pack(">I", len(payload)) + payload)
    frames.flush()
