"""Turns a reviewed operation into a tool, and calls operations over HTTP or MCP."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from smart_support.connectors.mcp_client import McpClient
from smart_support.connectors.mcp_document import mcp_document
from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.request.api_client import Api, ApiClient
from smart_support.connectors.openapi.request.request import build_request
from smart_support.connectors.operation_definition import comparable, definition_of
from smart_support.connectors.response_decoding import BinaryAnswer
from smart_support.connectors.review.base_urls import base_url, origin
from smart_support.connectors.review.customers import customer_in
from smart_support.connectors.review.hosts import callable_origins, sendable_schemes
from smart_support.connectors.review.import_store import ImportJob
from smart_support.connectors.review.reviewed_operation import ReviewedOperation
from smart_support.connectors.review.vault import Vault
from smart_support.errors import SmartSupportError
from smart_support.observability.log import get_logger
from smart_support.storage.answer_files import AnswerFiles
from smart_support.tools.definition import Definition, version_of
from smart_support.tools.registry import Access, Args, Call, CustomerSource, Tool

__all__ = ["Invoke", "OperationInvoker", "operation_tool"]

log = get_logger()
# Calls one operation with arguments and an idempotency key, and returns its result.
Invoke = Callable[[Args, str | None], Awaitable[Any]]


class OperationInvoker:
    """Calls operations of imported APIs with the stored credentials."""

    def __init__(self, api_client: ApiClient, mcp: McpClient, vault: Vault) -> None:
        self._api_client, self._mcp, self._vault = api_client, mcp, vault

    def bind(self, job: ImportJob, document: Document, operation: Operation, *, review: str = "") -> Invoke:
        """A function that calls this operation.

        Args:
            review: as in `Vault.credentials`.

        Raises:
            InvalidRequest: no base URL is known.
        """
        if job.kind == "mcp":
            return self._bind_mcp(job, operation, review)
        base, schemes = base_url(job, document, operation), sendable_schemes(job, document, operation)
        api = Api(
            job.title,
            base,
            schemes,
            job.api,
            origin(job, document),
            review=review,
            redirect_origins=callable_origins(job, document),
        )

        async def invoke(args: Args, key: str | None) -> Any:
            return await self._api_client.call(api, operation, args, key)

        return invoke

    async def present(
        self, job: ImportJob, operation: Operation, *, review: str = "", is_recent_enough: bool = False
    ) -> Operation | None:
        """An operation of an MCP server as the server lists it now; None if it no longer does.

        Args:
            review: as in `Vault.credentials`.
            is_recent_enough: what the server listed a short time ago counts, as in `McpClient.recent_tools`.

        Raises:
            ToolUnavailable: the server can't be asked.
        """
        list_tools = self._mcp.recent_tools if is_recent_enough else self._mcp.list_tools
        listing = await list_tools(job.source, await self._vault.mcp_token(job.api, job.source, review))
        listed = [tool for tool in listing["tools"] if tool["name"] == operation.operation_id]
        for present in mcp_document(listing | {"tools": listed}).operations:
            return comparable(replace(present, tool_name=operation.tool_name), operation)
        return None

    def _bind_mcp(self, job: ImportJob, operation: Operation, review: str) -> Invoke:
        async def invoke(args: Args, key: str | None) -> Any:
            token = await self._vault.mcp_token(job.api, job.source, review)
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
    files: AnswerFiles,
    definition: Definition | None = None,
    look_up: Invoke | None = None,
) -> Tool:
    """The tool for a reviewed operation.

    The tool's version follows from its definition: its service, host, method, path, arguments, credentials
    and words. So an approval is valid for exactly this. A read that needs approval is a write to the gate.

    Args:
        api: the API's title.
        invoke: calls the operation.
        target: the API's name and base URL.
        timeout_seconds: the time limit of one call.
        definition: as in `definition_of`; by default, one without credentials.
        look_up: calls the read that names the customer, if the operation has a confirmed rule with one.
        files: where binary answers are kept.
    """
    is_gated = reviewed.access != "read" or reviewed.needs_approval
    definition = definition or definition_of(operation, {}, target)
    former_version = hashlib.sha256(f"{reviewed.fingerprint}\n{target}".encode()).hexdigest()[:16]

    async def run(args: Args, call: Call) -> Any:
        result = await invoke(args, call.idempotency_key)
        if isinstance(result, BinaryAnswer):
            path = await asyncio.to_thread(files.store, call.thread_id, result.content, result.media_type)
            return {**result, "file": path}
        return result

    def check_call(args: Args) -> None:
        # The base URL is not known here and changes nothing in what can be encoded.
        build_request(operation, args, "https://api.invalid")

    return Tool(
        name=reviewed.tool_name,
        description=f"{reviewed.description} ({api})",
        schema=operation.schema,
        output_schema=operation.result_schema,
        access=Access.WRITE if is_gated else Access.READ,
        run=run,
        risk=reviewed.risk,
        version=version_of(definition),
        definition=definition,
        former_version=former_version,
        idempotent=reviewed.idempotent or reviewed.access == "read",
        timeout_seconds=timeout_seconds,
        summarise=lambda args, facts: _summary(operation, reviewed, api, args),
        customer=_customer_finder(reviewed, look_up),
        customer_source=_customer_source(reviewed, look_up),
        # Tools of an MCP server have neither: their arguments are sent as they are.
        check_call=check_call if operation.parameters or operation.body else None,
    )


def _customer_source(reviewed: ReviewedOperation, look_up: Invoke | None) -> CustomerSource:
    rule = reviewed.customer
    if rule is None or not rule.confirmed or (rule.source == "lookup" and look_up is None):
        return "unknown"
    return rule.source


def _customer_finder(
    reviewed: ReviewedOperation, look_up: Invoke | None
) -> Callable[[Args], Awaitable[str | None]] | None:
    """Finds a call's customer: as a reviewer confirmed it, else by the arguments that the rules propose.

    A lookup that fails finds nobody: the API says why where the call itself fails.
    """
    rule = reviewed.customer
    if rule and rule.confirmed and rule.source == "none":
        return None
    if rule and rule.confirmed and rule.source == "lookup":
        call = look_up

        async def looked_up(args: Args) -> str | None:
            given = {name: args[own] for name, own in rule.arguments.items() if own in args}
            if call is None or len(given) < len(rule.arguments):
                return None
            try:
                return customer_in(await call(given, None), rule.result)
            except (SmartSupportError, TimeoutError) as error:
                log.warning("customer_not_looked_up", tool=reviewed.tool_name, error=repr(error))
                return None

        return looked_up
    if rule and rule.confirmed and rule.source == "argument":
        names: tuple[str, ...] = (rule.argument,)
    else:
        names = tuple(reviewed.proposal.get("customer_arguments") or ())
    if not names:
        return None

    async def named(args: Args) -> str | None:
        values = (args.get(name) for name in names)
        return next((str(value) for value in values if isinstance(value, (str, int))), None)

    return named


def _summary(operation: Operation, reviewed: ReviewedOperation, api: str, args: Args) -> str:
    """The call in words for the customer too: the card has the method and the address beside it."""
    scalars = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in args.items()
        if not isinstance(value, (dict, list))
    )
    title = (operation.summary or reviewed.tool_name.replace("_", " ").capitalize()).rstrip(".")
    return f"{title} ({api})" + (f": {scalars}" if scalars else "")
