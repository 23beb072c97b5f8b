"""Nodes for measuring the Python worker beside ours: the same types, fields and outputs as Millwork's `test.*` nodes.

Put the folder `echo_package` on PYTHONPATH; `nodetool.nodes` is a namespace package, so the worker finds them by itself:

    millwork bench --vs "env PYTHONPATH=tests/peers/echo_package python -m nodetool.worker --stdio" -- millwork worker --stdio --test-nodes
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, TypedDict

from nodetool.metadata.types import AssetRef
from nodetool.workflows.base_node import BaseNode
from nodetool.workflows.types import NodeProgress


class Echo(BaseNode):
    """Gives back its value, bytes too."""

    value: Any = None

    async def process(self, context: Any) -> Any:
        uri = self.value.get("uri") if isinstance(self.value, dict) else getattr(self.value, "uri", None)
        if not uri:
            return self.value
        with await context.asset_to_io(AssetRef(uri=uri)) as file:
            # The one factory that takes bytes as they are; what they encode is not looked at.
            return await context.image_from_bytes(file.read())


class Sleep(BaseNode):
    """Waits until it is cancelled, `ms` milliseconds at most."""

    ms: int = 0

    async def process(self, context: Any) -> float:
        # Awaiting the flag itself is the quickest that a node of this worker can be.
        try:
            await asyncio.wait_for(context._cancel_event.wait(), self.ms / 1000)
        except TimeoutError:
            return float(self.ms)
        context.raise_if_cancelled()
        return 0.0


class Progress(BaseNode):
    """Sends `n` progress frames."""

    n: int = 0

    async def process(self, context: Any) -> int:
        for step in range(1, self.n + 1):
            context.post_message(NodeProgress(node_id=self.id, progress=step, total=self.n))
        return self.n


class Stream(BaseNode):
    """Sends `n` chunks with a number each."""

    n: int = 0

    class OutputType(TypedDict):
        output: int

    async def gen_process(self, context: Any) -> AsyncGenerator[OutputType, None]:
        for index in range(self.n):
            yield {"output": index}
