"""The nodes of docs/conformance-nodes.md for the Python worker, so that the conformance suite can hold it to all it has.

Put the folder `conformance_package` on PYTHONPATH; `nodetool.nodes` is a namespace package, so the worker finds them:

    millwork conformance -- env PYTHONPATH=tests/peers/conformance_package python -m nodetool.worker --stdio

They use what that worker offers to node authors, so that the suite judges the worker and not these few lines.
"""

import asyncio
import hashlib
import os
import signal as signals
import subprocess
from collections.abc import AsyncGenerator
from typing import Any, TypedDict

from nodetool.metadata.types import AssetRef, ImageRef
from nodetool.workflows.base_node import BaseNode
from nodetool.workflows.types import NodeProgress


def noise(size: int, seed: int) -> bytes:
    """The same bytes for the same seed."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


async def pause(context: Any) -> None:
    """Lets the worker read its next frame, a cancel perhaps."""
    await asyncio.sleep(0)
    context.raise_if_cancelled()


class Echo(BaseNode):
    """Gives back its value, a blob too."""

    value: Any = None

    async def process(self, context: Any) -> Any:
        if isinstance(self.value, list):
            return [await self.echo(context, item) for item in self.value]
        return await self.echo(context, self.value)

    async def echo(self, context: Any, value: Any) -> Any:
        uri = value.get("uri") if isinstance(value, dict) else getattr(value, "uri", None)
        if not isinstance(uri, str) or not uri.startswith("file:///input_"):
            return value
        with await context.asset_to_io(AssetRef(uri=uri)) as file:
            # The one factory that takes bytes as they are; what they encode is not looked at.
            return await context.image_from_bytes(file.read())


class Add(BaseNode):
    """Adds two numbers."""

    a: float = 0.0
    b: float = 0.0

    async def process(self, context: Any) -> float:
        return self.a + self.b


class Sleep(BaseNode):
    """Waits until it is cancelled, `ms` milliseconds at most."""

    ms: float = 100.0

    async def process(self, context: Any) -> float:
        try:
            await asyncio.wait_for(context._cancel_event.wait(), self.ms / 1000)
        except TimeoutError:
            return self.ms
        context.raise_if_cancelled()
        return self.ms


class Progress(BaseNode):
    """Sends `n` progress frames."""

    n: int = 10

    async def process(self, context: Any) -> int:
        for step in range(1, self.n + 1):
            await pause(context)
            context.post_message(NodeProgress(node_id=self.id, progress=step, total=self.n))
        return self.n


class Stream(BaseNode):
    """Sends `n` chunks with a number each, and a blob of `bytes` bytes each where that is not 0."""

    n: int = 10
    bytes: int = 0

    class OutputType(TypedDict):
        output: int
        blob: ImageRef

    async def gen_process(self, context: Any) -> AsyncGenerator[OutputType, None]:
        blob = noise(self.bytes, 0)
        for index in range(self.n):
            await pause(context)
            chunk = {"output": index}
            if blob:
                chunk["blob"] = await context.image_from_bytes(blob)
            yield chunk


class BigBlob(BaseNode):
    """Gives `bytes` pseudo-random bytes, the same ones for the same seed."""

    bytes: int = 1_048_576
    seed: int = 0

    async def process(self, context: Any) -> ImageRef:
        return await context.image_from_bytes(noise(self.bytes, self.seed))


class NeedsSecret(BaseNode):
    """Gives the SHA-256 of the secret TEST_SECRET, in hexadecimal."""

    @classmethod
    def required_settings(cls) -> list[str]:
        return ["TEST_SECRET"]

    async def process(self, context: Any) -> str:
        secret = await context.get_secret_required("TEST_SECRET")
        return hashlib.sha256(secret.encode()).hexdigest()


class Fail(BaseNode):
    """Fails with `message`."""

    message: str = "failed on purpose"
    kind: str = "failed"

    async def process(self, context: Any) -> Any:
        raise RuntimeError(self.message)


class Panic(BaseNode):
    """Fails in a way that nobody foresaw."""

    message: str = "panicked on purpose"

    async def process(self, context: Any) -> Any:
        assert not self.message, self.message


class StdoutNoise(BaseNode):
    """Prints to standard output, which is where frames go if nobody guards it."""

    text: str = "noise on stdout"
    via: str = "rust"

    async def process(self, context: Any) -> str:
        if self.via == "child":
            subprocess.run(["printf", "%s\\n", self.text], check=True)
        elif self.via == "libc":
            os.write(1, f"{self.text}\n".encode())
        else:
            print(self.text, flush=True)
        return self.text


class Child(BaseNode):
    """Leaves a child process behind and gives its process id."""

    seconds: int = 60

    async def process(self, context: Any) -> int:
        return subprocess.Popen(["sleep", str(self.seconds)]).pid


class Alloc(BaseNode):
    """Takes `mb` MiB of memory, writes to all of it, and gives it back."""

    mb: int = 64

    async def process(self, context: Any) -> int:
        blocks = []
        for _ in range(self.mb):
            await pause(context)
            blocks.append(bytearray(b"\x01") * (1 << 20))
        return len(blocks)


class Abort(BaseNode):
    """Ends the worker's process."""

    signal: int | None = None
    exit_code: int | None = None

    async def process(self, context: Any) -> Any:
        if self.exit_code is not None:
            os._exit(self.exit_code)
        os.kill(os.getpid(), signals.SIGABRT if self.signal is None else self.signal)
