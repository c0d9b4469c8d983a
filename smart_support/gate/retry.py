"""One call of a tool: its time limit, and another try where that is safe. Who may call is not asked here."""

import asyncio
from typing import Any

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from smart_support.errors import SmartSupportError, ToolNotReached, ToolRefused, ToolUnavailable
from smart_support.observability import tracing
from smart_support.tools.registry import Access, Args, Call, Tool

ATTEMPTS = 3
TRANSIENT = (TimeoutError, ToolUnavailable)


async def attempted(tool: Tool, args: Args, call: Call) -> Any:
    """The tool's result. What is transient is tried up to three times, with growing waits and jitter.

    Reads always are, and so is what was never sent; other writes only where the tool honours its idempotency
    key, for else the second try could be a second effect.

    Raises:
        TimeoutError, ToolUnavailable: it stayed so. Anything else that the tool raises, at once; but of a
            write with a try that was sent, whatever comes later, nothing that says that nothing was done,
            unless the tool itself says no.
    """
    safe = tool.access is Access.READ or tool.idempotent
    doubt: Exception | None = None
    async for attempt in AsyncRetrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential_jitter(multiplier=0.1, max=2),
        retry=retry_if_exception_type(TRANSIENT if safe else ToolNotReached),
        reraise=True,
    ):
        with attempt, tracing.span(f"tool {tool.name}", tool=tool.name, tool_call_id=call.tool_call_id):
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
    raise AssertionError("unreachable")
