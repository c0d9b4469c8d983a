"""Turns a reviewed operation into a tool, and calls operations over HTTP or MCP."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from smart_support.connectors.mcp_client import McpClient
from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.request.api_client import Api, ApiClient
from smart_support.connectors.review.base_urls import base_url, origin
from smart_support.connectors.review.import_store import ImportJob
from smart_support.connectors.review.reviewed_operation import ReviewedOperation
from smart_support.connectors.review.vault import Vault
from smart_support.tools.registry import Access, Args, Call, Tool

__all__ = ["Invoke", "OperationInvoker", "operation_tool"]

# Calls one operation with arguments and an idempotency key, and returns its result.
Invoke = Callable[[Args, str | None], Awaitable[Any]]


class OperationInvoker:
    """Calls operations of imported APIs with the stored credentials."""

    def __init__(self, api_client: ApiClient, mcp: McpClient, vault: Vault) -> None:
        self._api_client, self._mcp, self._vault = api_client, mcp, vault

    def bind(self, job: ImportJob, document: Document, operation: Operation) -> Invoke:
        """A function that calls this operation.

        Raises:
            InvalidRequest: no base URL is known.
        """
        if job.kind == "mcp":
            return self._bind_mcp(job, operation)
        base = base_url(job, document, operation)
        api = Api(job.title, base, document.schemes, job.api, origin(job, document))

        async def invoke(args: Args, key: str | None) -> Any:
            return await self._api_client.call(api, operation, args, key)

        return invoke

    def _bind_mcp(self, job: ImportJob, operation: Operation) -> Invoke:
        async def invoke(args: Args, key: str | None) -> Any:
            token = await self._vault.mcp_token(job.api, job.source)
            return await self._mcp.call_tool(
                job.source, operation.operation_id, args, title=job.title, token=token, key=key
            )

        return invoke


def operation_tool(
    operation: Operation,
    reviewed: ReviewedOperation,
    api: str,
    invoke: Invoke,
    *,
    target: str,
    timeout_seconds: float,
) -> Tool:
    """The tool for a reviewed operation.

    The tool's version is a hash of the operation's fingerprint and its target, so an approval is valid for
    this call only, and not for another service with the same description. A read that needs approval is a
    write to the gate.

    Args:
        api: the API's title.
        invoke: calls the operation.
        target: the API's name and base URL.
        timeout_seconds: the time limit of one call.
    """
    is_gated = reviewed.access != "read" or reviewed.needs_approval
    version = hashlib.sha256(f"{reviewed.fingerprint}\n{target}".encode()).hexdigest()
    customer_arguments = tuple(reviewed.proposal.get("customer_arguments") or ())

    async def run(args: Args, call: Call) -> Any:
        return await invoke(args, call.idempotency_key)

    async def customer(args: Args) -> str | None:
        values = (args.get(name) for name in customer_arguments)
        return next((str(value) for value in values if isinstance(value, (str, int))), None)

    return Tool(
        name=reviewed.tool_name,
        description=f"{reviewed.description} ({api})",
        schema=operation.schema,
        access=Access.WRITE if is_gated else Access.READ,
        run=run,
        risk=reviewed.risk,
        version=version[:16],
        idempotent=reviewed.idempotent or reviewed.access == "read",
        timeout_seconds=timeout_seconds,
        summarise=lambda args, facts: _summary(operation, reviewed, api, args),
        customer=customer if customer_arguments else None,
    )


def _summary(operation: Operation, reviewed: ReviewedOperation, api: str, args: Args) -> str:
    """The call in words for the customer too: the card has the method and the address beside it."""
    scalars = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in args.items()
        if not isinstance(value, (dict, list))
    )
    title = (operation.summary or reviewed.tool_name.replace("_", " ").capitalize()).rstrip(".")
    return f"{title} ({api})" + (f": {scalars}" if scalars else "")
