"""The nodes and the provider of docs/conformance-nodes.md."""

import hashlib
import inspect
import os
import struct
import subprocess
import threading
import time

TYPES = {"float": (int, float), "int": (int,), "str": (str,), "bool": (bool,)}


class Cancelled(Exception):
    pass


def noise(size, seed=0):
    """The same bytes for the same seed."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


class File(dict):
    """A file in memory: a reference that has its bytes with it."""

    def __init__(self, data):
        super().__init__(type="asset", uri="", data=data)


class Node:
    """What discover tells of a node is what its code is: parameters, defaults, docstring."""

    def __init__(self, code):
        kinds = {"value": "any", "message": "str", "kind": "str", "text": "str", "via": "str"} | dict.fromkeys(
            ("n", "bytes", "seed", "seconds", "signal", "exit_code", "mb"), "int"
        )
        self.run, self.does = code, inspect.getdoc(code)
        parameters = list(inspect.signature(code).parameters.values())[1:]
        self.fields = {p.name: (kinds.get(p.name, "float"), p.default) for p in parameters}
        self.streams = inspect.isgeneratorfunction(code)
        self.outputs = {"output": "any"} | ({"blob": "asset"} if self.streams else {})
        self.settings = ("TEST_SECRET",) if code.__name__ == "NeedsSecret" else ()
        self.children = []


def Echo(call, value=None):
    """Gives back its value, a blob too."""
    return value


def Add(call, a=0.0, b=0.0):
    """Adds two numbers."""
    return a + b


def Sleep(call, ms=100.0):
    """Sleeps, and wakes when it is cancelled."""
    if ms < 0:
        raise ValueError("field `ms`: must be at least 0")
    call.cancelled.wait(min(ms / 1000, threading.TIMEOUT_MAX))
    call.check()
    return ms


def Progress(call, n=10):
    """Sends progress frames."""
    for i in range(1, n + 1):
        call.check()
        call.progress(i, n)
    return n


def Stream(call, n=10, bytes=0):
    """Streams numbers, with a blob each where asked."""
    blob = noise(bytes)
    for i in range(n):
        yield {"output": i, **({"blob": File(blob)} if blob else {})}


def BigBlob(call, bytes=1_048_576, seed=0):
    """Gives a blob of pseudo-random bytes."""
    return File(noise(bytes, seed))


def NeedsSecret(call):
    """Gives the SHA-256 of a secret, in hex."""
    secret = call.secret("TEST_SECRET")
    if not secret:
        raise ValueError("Required secret not found: TEST_SECRET")
    return hashlib.sha256(secret.encode()).hexdigest()


def Fail(call, message="failed on purpose", kind="failed"):
    """Fails."""
    raise RuntimeError(message)


def Panic(call, message="panicked on purpose"):
    """Fails in a way that nobody foresaw."""
    raise AssertionError(message)


def Abort(call, signal=None, exit_code=None):
    """Ends the worker's process."""
    if exit_code is not None:
        os._exit(exit_code)
    os.kill(os.getpid(), 9 if signal is None else signal)


def StdoutNoise(call, text="noise on stdout", via="rust"):
    """Prints to standard output, which is the host's pipe if nobody guards it."""
    if via == "child":
        subprocess.run(["printf", "%s\\n", text], check=True)
    elif via == "libc":
        os.write(1, f"{text}\n".encode())
    else:
        print(text, flush=True)
    return text


def Child(call, seconds=60):
    """Starts a child process that outlives the request and gives its process id."""
    child = subprocess.Popen(["sleep", str(seconds)])
    NODES["test.Child"].children.append(child)
    return child.pid


def Spin(call, ms=1000.0):
    """Keeps a core busy and ignores cancellation."""
    call.progress(0, 1)
    end = time.monotonic() + ms / 1000
    while ms == 0 or time.monotonic() < end:
        pass
    return ms


def Alloc(call, mb=64):
    """Takes memory, touches it, and gives it back."""
    blocks = []
    for _ in range(mb):
        call.check()
        blocks.append(bytearray(b"\x01") * (1 << 20))
    return len(blocks)


CODE = (Echo, Add, Sleep, Progress, Stream, BigBlob, NeedsSecret, Spin, Fail, Panic, Abort, StdoutNoise, Child, Alloc)
BROKEN = {
    "module": "test.Broken",
    "phase": "import",
    "error_type": "RuntimeError",
    "error": "this node is broken on purpose: it shows what a load error looks like",
}
NODES = {f"test.{code.__name__}": Node(code) for code in CODE}


class Provider:
    """A provider without a model: every call has an answer that a test can compute for itself."""

    def __init__(self):
        image, video, audio = self.media("image"), self.media("video"), self.media("audio")
        self.calls = {
            "generate": lambda params: {"message": {"role": "assistant", "content": self.last_text(params)}},
            "stream": self.stream,
            "text_to_image": image,
            "image_to_image": lambda params: {"blobs": {"image": self.bytes(params, "image")}},
            "text_to_video": video,
            "image_to_video": video,
            "reference_to_video": video,
            "text_to_audio": audio,
            "tts": self.tts,
            "tts_encoded": audio,
            "asr": lambda params: {"text": f"{len(self.bytes(params, 'audio'))} bytes"},
            "embedding": self.embedding,
        }

    def info(self):
        capabilities = list(self.calls)
        return {"id": "test", "capabilities": capabilities, "required_secrets": [], "access": "in_process", "display_name": "Test"}

    def models(self, kind):
        if kind not in ("language", "image", "tts", "music", "asr", "video", "embedding", "3d"):
            return []
        return [{"id": f"test-{kind}", "name": f"test-{kind}", "provider": "test", "type": kind}]

    def media(self, name):
        return lambda params: {"blobs": {name: noise(1024, int(params.get("seed") or 0))}}

    def bytes(self, params, name):
        value = params.get(name)
        if isinstance(value, str):
            value = value.encode(errors="surrogateescape")
        if not isinstance(value, bytes):
            raise TypeError(f"`{name}` must be bytes")
        return value

    def last_text(self, params):
        messages = params.get("messages")
        if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
            raise TypeError("`messages` must be a list of {role, content}")
        content = messages[-1].get("content")
        if isinstance(content, list):
            return "".join(part.get("text") or "" for part in content)
        return content

    def stream(self, params):
        words = self.last_text(params).split(" ")
        for index, word in enumerate(words, 1):
            last = index == len(words)
            yield {"type": "chunk", "content": word if last else f"{word} ", "done": last}

    def tts(self, params):
        if not isinstance(params.get("text"), str):
            raise TypeError("`text` must be a text")
        for _ in params["text"].split():
            yield {"blobs": {"audio": struct.pack("<2400h", *range(2400))}}

    def embedding(self, params):
        text = params.get("text")
        texts = [text] if isinstance(text, str) else text
        if not isinstance(texts, list):
            raise TypeError("`text` must be a text or a list of texts")
        return {"embeddings": [[float(len(t.encode())), float(t.count(" ")), float(sum(t.encode()))] for t in texts]}


PROVIDER = Provider()
