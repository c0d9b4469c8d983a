"""One call of a tool: its time limit, and another try where that is safe. Who may call is not asked here."""

import asyncio
from typing import Any

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from smart_support import tracing
from smart_support.errors import ToolUnavailable
from smart_support.tools.registry import Access, Args, Call, Tool

ATTEMPTS = 3
TRANSIENT = (TimeoutError, ToolUnavailable)


async def attempted(tool: Tool, args: Args, call: Call) -> Any:
    """The tool's result. What is transient is tried up to three times, with growing waits and jitter.

    Reads always are; writes only where the tool honours its idempotency key, for else the second try could be
    a second effect.

    Raises:
        TimeoutError, ToolUnavailable: it stayed so. Anything else that the tool raises, at once.
    """
    safe = tool.access is Access.READ or tool.idempotent
    async for attempt in AsyncRetrying(
        stop=stop_after_attempt(ATTEMPTS if safe else 1),
        wait=wait_exponential_jitter(multiplier=0.1, max=2),
        retry=retry_if_exception_type(TRANSIENT),
        reraise=True,
    ):
        with attempt, tracing.span(f"tool {tool.name}", tool=tool.name, tool_call_id=call.tool_call_id):
            async with asyncio.timeout(tool.timeout_seconds):
                return await tool.run(args, call)
    raise AssertionError("unreachable")
