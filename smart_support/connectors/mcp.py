"""Tools of an MCP server, brought into the same review: listed once, then called by name like any operation.

What a server says of its own tools (their hints among it) is content: it never makes a write a read.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
import httpx2
from mcp import Client, MCPError
from mcp.client import Transport
from mcp.client.streamable_http import streamable_http_client
from mcp.types import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    InputRequiredResult,
    TextContent,
)
from mcp.types import Tool as McpTool
from pydantic import TypeAdapter, ValidationError

from smart_support.connectors.answers import is_storable, json_or_text
from smart_support.connectors.mcp_stdio import stdio_transport
from smart_support.connectors.openapi.document.naming import tool_names
from smart_support.connectors.openapi.document.operation import Document, Operation, SecurityScheme
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.schema.tool_schema import self_contained
from smart_support.errors import (
    InvalidRequest,
    OutboundRefused,
    ResponseTooLarge,
    SmartSupportError,
    ToolFailed,
    ToolRefused,
    ToolUnauthorized,
    ToolUnavailable,
)
from smart_support.observability.log import get_logger
from smart_support.outbound.client import GuardedTransport, ReadLimit
from smart_support.version import __version__

log = get_logger()
Result = TypeVar("Result")
TOKEN = "token"
MCP_SCHEMES = {TOKEN: SecurityScheme(name=TOKEN, kind="bearer", description="Where the server asks for one.")}
MAX_TOOLS = 500
MAX_ANSWER_BYTES = 2_000_000
# Of all that a server writes in one session, unpacked. A result may stand in it twice, as text and as JSON.
MAX_SESSION_BYTES = 5_000_000
# Lines of event streams and of standard output: each costs some hundred microseconds, however short it is.
MAX_SESSION_LINES = 10_000
# JSON values: the SDK copies an answer several times, which takes some 330 bytes for an empty list.
MAX_SESSION_VALUES = 250_000
LIST_SECONDS = 30.0
CLOSE_SECONDS = 5.0
_CLIENT = Implementation(name="smart-support", version=__version__)
# The SDK's own `call_tool` lists the tools after a call, to check the answer against their schemas. A fault
# there would hide what an executed write answered.
_ANSWER: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(CallToolResult | InputRequiredResult)


class McpServers:
    """The servers that can be asked: those an operator has declared by command, and any by address."""

    def __init__(
        self,
        declared: Mapping[str, list[str]],
        allowed_hosts: frozenset[str],
        *,
        timeout_seconds: float = LIST_SECONDS,
    ) -> None:
        """
        Args:
            declared: name -> command and arguments; only the operator says what runs on this machine.
            timeout_seconds: what one call may take.
        """
        self._declared = declared
        self._allowed = allowed_hosts
        self._timeout = timeout_seconds
        # Servers that speak a revision before 2026-07-28: a probe for a newer one costs each call a request.
        self._legacy: set[str] = set()

    def check(self, source: str) -> None:
        """Raise `InvalidRequest` unless the source is a declared server or an address."""
        if source not in self._declared and not source.startswith(("http://", "https://")):
            known = ", ".join(self._declared) or "none are declared"
            raise InvalidRequest(
                f"mcp: {source[:100]!r} is neither an address nor one of SMART_SUPPORT_MCP_SERVERS ({known})"
            )

    async def listed(self, source: str, token: str | None = None) -> dict[str, Any]:
        """What a server offers, as it is kept: its name and its tools. `token` as of `call`.

        Raises:
            ToolUnavailable: it can't be asked, or does not answer in time.
            ResponseTooLarge: it writes more than `MAX_SESSION_BYTES`.
        """

        async def work(client: Client) -> dict[str, Any]:
            tools = await _all_tools(client)
            info = client.server_info
            kept = [
                {"name": tool.name, "description": tool.description or "", "schema": tool.input_schema}
                for tool in tools
            ]
            about = {"title": (info and info.name) or source, "version": (info and info.version) or ""}
            return {"mcp": about, "tools": kept}

        return await self._in_session(
            _Target(source, f"The MCP server {source[:100]}", token), LIST_SECONDS, work
        )

    async def call(
        self,
        source: str,
        name: str,
        args: Mapping[str, Any],
        *,
        title: str,
        token: str | None,
        key: str | None,
    ) -> Any:
        """What a tool gave: JSON where it is JSON, else text.

        Args:
            title: what people call the server, for messages.
            token: sent as a bearer token, where one was entered.
            key: the idempotency key, sent with the request's `_meta`.

        Raises:
            ToolRefused: the tool said no.
            ToolFailed: the server could not be asked at all; nothing was called.
            ToolUnavailable, TimeoutError: the call was sent and no answer came back.
            ResponseTooLarge: the answer is over `MAX_ANSWER_BYTES`.
        """
        sent = False
        meta: Any = {"idempotencyKey": key} if key else None
        request = CallToolRequest(params=CallToolRequestParams(name=name, arguments=dict(args), _meta=meta))

        async def work(client: Client) -> Any:
            nonlocal sent
            sent = True
            try:
                try:
                    answer = await client.session.send_request(request, _ANSWER)
                except MCPError as error:
                    if error.code != HEADER_MISMATCH:
                        raise
                    # The server has refused: it wants arguments as headers, as its list of tools tells.
                    await _all_tools(client)
                    answer = await client.session.send_request(request, _ANSWER)
            except MCPError as error:
                if error.code in (INVALID_PARAMS, METHOD_NOT_FOUND):
                    raise ToolRefused(
                        _one_line(error.message) or "The server does not know this call."
                    ) from None
                raise
            return _understood(answer, title)

        try:
            return await self._in_session(_Target(source, title, token), self._timeout, work)
        except (SmartSupportError, TimeoutError) as error:
            if sent or isinstance(error, ToolFailed):
                raise
            log.warning("mcp_not_called", source=source, error=repr(error))
            raise ToolFailed(f"{title} can't be reached just now; nothing was done.") from None

    async def _in_session(
        self, target: "_Target", seconds: float, work: Callable[[Client], Awaitable[Result]]
    ) -> Result:
        """Open a session, do the work and close it again, all within `seconds`.

        What was answered counts, however the session then ends.
        """
        state = _Session()
        done: list[Result] = []
        try:
            with anyio.fail_after(seconds) as scope:
                # A library in between may catch what is raised; the scope it can't.
                state.on_failure = lambda: setattr(scope, "deadline", anyio.current_time())
                async with AsyncExitStack() as stack:
                    transport = await self._transport(target, state, stack)
                    mode = "legacy" if target.source in self._legacy else "auto"
                    async with Client(transport, mode=mode, cache=None, client_info=_CLIENT) as client:
                        if client.session.initialize_result:
                            self._legacy.add(target.source)
                        done.append(await work(client))
                        scope.deadline = anyio.current_time() + CLOSE_SECONDS
        except Exception as error:
            if not done:
                self._legacy.discard(target.source)
                raise self._in_our_words(target, seconds, state, error) from None
            log.info("mcp_session_not_closed", source=target.source, error=repr(error))
        return done[0]

    async def _transport(self, target: "_Target", state: "_Session", stack: AsyncExitStack) -> Transport:
        limit = ReadLimit(MAX_SESSION_BYTES, max_lines=MAX_SESSION_LINES, max_values=MAX_SESSION_VALUES)
        if target.source in self._declared:
            return stdio_transport(self._declared[target.source], limit, on_failure=state.fail)
        state.http = GuardedTransport(self._allowed, limit, on_failure=state.fail)
        headers = {"Authorization": f"Bearer {target.token}"} if target.token else None
        http_client = httpx2.AsyncClient(
            headers=headers, timeout=None, transport=state.http, trust_env=False, follow_redirects=False
        )
        return streamable_http_client(
            target.source,
            http_client=await stack.enter_async_context(http_client),
            max_sse_event_size=MAX_SESSION_BYTES,
        )

    def _in_our_words(
        self, target: "_Target", seconds: float, state: "_Session", error: Exception
    ) -> SmartSupportError:
        own = state.failure or _within(error)
        log.warning("mcp_server_failed", source=target.source, error=repr(error), cause=repr(own))
        if isinstance(own, ResponseTooLarge):
            return ResponseTooLarge(
                f"{target.title} answered with more than can be read; ask for less at once."
            )
        if isinstance(own, (OutboundRefused, ToolRefused)):
            return own
        if isinstance(error, TimeoutError):
            return ToolUnavailable(f"{target.title} did not answer within {seconds:g} s.")
        if state.http and state.http.post_status in (401, 403):
            return ToolUnauthorized(f"{target.title} asks for a token; enter the one that it gives out.")
        # It did answer, so a write may well have had its effect.
        if isinstance(own, ToolFailed) or isinstance(error, ValidationError):
            return ToolUnavailable(f"{target.title} answered in a way that can't be understood.")
        return ToolUnavailable(f"{target.title} can't be reached just now; please try again later.")


@dataclass(frozen=True, slots=True)
class _Target:
    """Which server, what people call it, and the token that it was given."""

    source: str
    title: str
    token: str | None


class _Session:
    """What becomes of one session on the wire."""

    def __init__(self) -> None:
        self.failure: SmartSupportError | None = None
        self.http: GuardedTransport | None = None
        self.on_failure: Callable[[], None] = lambda: None

    def fail(self, error: SmartSupportError) -> None:
        """End the session with this error."""
        self.failure = self.failure or error
        self.on_failure()


async def _all_tools(client: Client) -> list[McpTool]:
    """The tools, page by page, up to `MAX_TOOLS`."""
    tools: list[McpTool] = []
    cursor: str | None = None
    while len(tools) < MAX_TOOLS:
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if not cursor:
            break
    return tools[:MAX_TOOLS]


def mcp_document(loaded: Mapping[str, Any]) -> Document:
    """What was listed, as a document: each tool one POST, since nothing proves that it only reads."""
    names = tool_names({f"POST /{tool['name']}": tool["name"] for tool in loaded["tools"]})
    return Document(
        title=loaded["mcp"]["title"],
        version=loaded["mcp"]["version"],
        format="mcp",
        schemes=MCP_SCHEMES,
        operations=tuple(
            _operation(tool, names[f"POST /{tool['name']}"], loaded["mcp"]["title"])
            for tool in loaded["tools"]
        ),
    )


def _operation(tool: Mapping[str, Any], tool_name: str, server: str) -> Operation:
    schema, findings = self_contained(tool["schema"], References(dict(tool["schema"])))
    return Operation(
        key=f"POST /{tool['name']}",
        method="POST",
        path=f"/{tool['name']}",
        tool_name=tool_name,
        operation_id=tool["name"],
        tags=(server,),
        summary=tool["description"].partition("\n")[0][:200],
        description=tool["description"][:4000],
        schema={"type": "object", "properties": {}} | schema,
        findings=findings,
    )


def _understood(result: CallToolResult | InputRequiredResult, title: str) -> Any:
    if isinstance(result, InputRequiredResult):
        raise ToolRefused(f"{title} asks for more before it does this, which can't be given here.")
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    if result.is_error:
        raise ToolRefused(_one_line(text) or "The tool said no and gave no reason.")
    if len(text) > MAX_ANSWER_BYTES:
        raise ResponseTooLarge(f"{title} answered with more than can be read; ask for less at once.")
    if result.structured_content is not None and is_storable(result.structured_content):
        return result.structured_content
    return json_or_text(text.encode()) or {"message": "Done."}


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _within(error: BaseException) -> SmartSupportError | None:
    """An error of ours that came wrapped in groups of a task group."""
    if isinstance(error, SmartSupportError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((found for one in error.exceptions if (found := _within(one))), None)
    return _within(error.__cause__) if error.__cause__ else None
