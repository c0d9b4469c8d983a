"""One approved operation as a tool: what the gate needs to know of it, and how it runs."""

from collections.abc import Awaitable, Callable
from typing import Any

from smart_support.openapi_import.operation import Operation
from smart_support.openapi_import.review import Reviewed
from smart_support.tools.registry import Access, Args, Call, Tool

Run = Callable[[Args, str | None], Awaitable[Any]]


def operation_tool(
    operation: Operation, reviewed: Reviewed, api: str, ask: Run, *, timeout_seconds: float
) -> Tool:
    """The tool of a reviewed operation.

    Its version is the operation's fingerprint, so that an approval holds for this call only. A read that asks
    first is a write to the gate: it stops like one.

    Args:
        api: what people call the API.
        ask: calls it with arguments and an idempotency key.
        timeout_seconds: what one call may take.
    """
    gated = reviewed.access == "write" or reviewed.needs_approval
    named = tuple(reviewed.proposal.get("customer_arguments") or ())

    async def run(args: Args, call: Call) -> Any:
        return await ask(args, call.idempotency_key)

    async def customer(args: Args) -> str | None:
        given = (args.get(name) for name in named)
        return next((str(value) for value in given if isinstance(value, (str, int))), None)

    return Tool(
        name=reviewed.tool_name,
        description=f"{reviewed.description} ({api})",
        schema=operation.schema,
        access=Access.WRITE if gated else Access.READ,
        run=run,
        risk=reviewed.risk,
        version=reviewed.fingerprint[:16],
        idempotent=reviewed.idempotent or reviewed.access == "read",
        timeout_seconds=timeout_seconds,
        summarise=lambda args: _summary(operation, reviewed, api, args),
        customer=customer if named else None,
    )


def _summary(operation: Operation, reviewed: Reviewed, api: str, args: Args) -> str:
    given = ", ".join(
        f"{name} {value}" for name, value in args.items() if not isinstance(value, (dict, list))
    )
    does = (operation.summary or reviewed.tool_name.replace("_", " ").capitalize()).rstrip(".")
    return f"{does} ({api}, {operation.key})" + (f": {given}" if given else "")
