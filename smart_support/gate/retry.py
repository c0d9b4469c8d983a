"""Calls a tool with a time limit, and retries where that is safe."""

import asyncio
from typing import Any

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from smart_support.errors import SmartSupportError, ToolNotReached, ToolRefused, ToolUnavailable
from smart_support.observability import tracing
from smart_support.tools.registry import Access, Args, Call, Tool

ATTEMPTS = 3
WAIT = wait_exponential_jitter(multiplier=0.1, max=2)
TRANSIENT = (TimeoutError, ToolUnavailable)


async def attempted(tool: Tool, args: Args, call: Call) -> Any:
    """Call the tool up to three times while it fails transiently, with growing waits and jitter.

    A read is always retried, and so is a call that was never sent. A write that was sent is retried only if
    the tool honours its idempotency key; otherwise the second try could be a second effect.

    Raises:
        TimeoutError, ToolUnavailable: all tries failed. Any other error of the tool is raised at once. But
            after a try of a write that was sent, a later error that says "nothing was done" is replaced by
            the error of that try, unless the tool refuses by itself.
    """
    safe = tool.access is Access.READ or tool.idempotent
    retried = TRANSIENT if safe else (ToolNotReached,)
    doubt: Exception | None = None

    async def once() -> Any:
        nonlocal doubt
        with tracing.span(f"tool {tool.name}", tool=tool.name, tool_call_id=call.tool_call_id):
            try:
                async with asyncio.timeout(tool.timeout_seconds):
                    return await tool.run(args, call)
            except TRANSIENT as error:
                doubt = doubt if isinstance(error, ToolNotReached) else error
                raise doubt or error from None
            except SmartSupportError as error:
                if doubt and error.nothing_done and not isinstance(error, ToolRefused):
                    raise doubt from error
                raise

    # Most calls need no second try, and the machinery of retries costs as much CPU as a quick call.
    failed: Exception | None
    try:
        return await once()
    except retried as error:
        failed = error
    async for attempt in AsyncRetrying(
        stop=stop_after_attempt(ATTEMPTS), wait=WAIT, retry=retry_if_exception_type(retried), reraise=True
    ):
        with attempt:
            if failed:
                first, failed = failed, None
                raise first
            return await once()
    raise AssertionError("unreachable")
