"""One approved operation as a tool: what the gate needs to know of it, and how it runs."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.review.review import Reviewed
from smart_support.tools.registry import Access, Args, Call, Tool

Run = Callable[[Args, str | None], Awaitable[Any]]


def operation_tool(
    operation: Operation, reviewed: Reviewed, api: str, ask: Run, *, where: str, timeout_seconds: float
) -> Tool:
    """The tool of a reviewed operation.

    Its version is made of the operation's fingerprint and its address, so that an approval holds for this
    call only, and not for that of another service with the same description. A read that asks first is a
    write to the gate: it stops like one.

    Args:
        api: what people call the API.
        ask: calls it with arguments and an idempotency key.
        where: the address that it is called at.
        timeout_seconds: what one call may take.
    """
    gated = reviewed.access != "read" or reviewed.needs_approval
    version = hashlib.sha256(f"{reviewed.fingerprint}\n{where}".encode()).hexdigest()
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
        version=version[:16],
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
