"""Lists and calls the tools of MCP servers, over HTTP or a child process."""

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

from smart_support.connectors.mcp_stdio_transport import stdio_transport
from smart_support.connectors.response_decoding import is_json_encodable, json_or_text
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

__all__ = ["McpClient"]

log = get_logger()
Result = TypeVar("Result")
MAX_TOOLS = 500
MAX_RESULT_BYTES = 2_000_000
# Of everything a server sends in one session, decompressed. A result may appear twice, as text and as JSON.
MAX_SESSION_BYTES = 5_000_000
# Of event streams and standard output. Each line costs some hundred microseconds, however short it is.
MAX_SESSION_LINES = 10_000
# JSON values. The SDK copies a response several times; an empty list takes about 330 bytes.
MAX_SESSION_VALUES = 250_000
LIST_SECONDS = 30.0
CLOSE_SECONDS = 5.0
_CLIENT_INFO = Implementation(name="smart-support", version=__version__)
# The SDK's `call_tool` lists the tools after a call to validate the result against their schemas. An error
# there would lose the result of a write that was executed.
_RESULT: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(CallToolResult | InputRequiredResult)


class McpClient:
    """Opens one session per request: to a server that the operator configured by command, or to any URL."""

    def __init__(
        self,
        commands: Mapping[str, list[str]],
        allowed_hosts: frozenset[str],
        *,
        timeout_seconds: float = LIST_SECONDS,
    ) -> None:
        """
        Args:
            commands: server name -> command and arguments; only the operator decides what runs here.
            timeout_seconds: the time limit of one call.
        """
        self._commands = commands
        self._allowed_hosts = allowed_hosts
        self._timeout = timeout_seconds
        # Servers of a revision before 2026-07-28: probing for a newer one costs a request per call.
        self._legacy: set[str] = set()

    def check_source(self, source: str) -> None:
        """
        Raises:
            InvalidRequest: the source is neither a configured server nor a URL.
        """
        if source not in self._commands and not source.startswith(("http://", "https://")):
            known = ", ".join(self._commands) or "none"
            raise InvalidRequest(
                f"mcp: {source[:100]!r} is neither a URL nor a server in SMART_SUPPORT_MCP_SERVERS "
                f"(configured: {known})"
            )

    async def list_tools(self, source: str, token: str | None = None) -> dict[str, Any]:
        """The server's title and version, and its tools, in the form in which they are stored.

        Args:
            token: as in `call_tool`.

        Raises:
            ToolUnavailable: the server can't be reached or does not respond in time.
            ResponseTooLarge: the server sends more than `MAX_SESSION_BYTES`.
        """

        async def request(client: Client) -> dict[str, Any]:
            tools = [
                {"name": tool.name, "description": tool.description or "", "schema": tool.input_schema}
                for tool in await _all_tools(client)
            ]
            info = client.server_info
            server = {"title": (info and info.name) or source, "version": (info and info.version) or ""}
            return {"mcp": server, "tools": tools}

        target = _Target(source, f"The MCP server {source[:100]}", token)
        return await self._in_session(target, LIST_SECONDS, request)

    async def call_tool(
        self,
        source: str,
        name: str,
        args: Mapping[str, Any],
        *,
        title: str,
        token: str | None,
        key: str | None,
    ) -> Any:
        """The tool's result: parsed JSON if it is JSON, else text.

        Args:
            title: the server's name in error messages.
            token: sent as a bearer token.
            key: the idempotency key, sent in the request's `_meta`.

        Raises:
            ToolRefused: the tool returned an error.
            ToolFailed: the server could not be reached; the call was not sent.
            ToolUnavailable, TimeoutError: the call was sent but no response came.
            ResponseTooLarge: the result is larger than `MAX_RESULT_BYTES`.
        """
        is_sent = False
        meta: Any = {"idempotencyKey": key} if key else None
        call = CallToolRequest(params=CallToolRequestParams(name=name, arguments=dict(args), _meta=meta))

        async def request(client: Client) -> Any:
            nonlocal is_sent
            is_sent = True
            try:
                try:
                    result = await client.session.send_request(call, _RESULT)
                except MCPError as error:
                    if error.code != HEADER_MISMATCH:
                        raise
                    # The call was rejected: the server requires arguments as headers, listed with its tools.
                    await _all_tools(client)
                    result = await client.session.send_request(call, _RESULT)
            except MCPError as error:
                if error.code in (INVALID_PARAMS, METHOD_NOT_FOUND):
                    raise ToolRefused(_one_line(error.message) or "The server rejected this call.") from None
                raise
            return _decode(result, title)

        try:
            return await self._in_session(_Target(source, title, token), self._timeout, request)
        except (SmartSupportError, TimeoutError) as error:
            if is_sent or isinstance(error, ToolFailed):
                raise
            log.warning("mcp_call_not_sent", source=source, error=repr(error))
            raise ToolFailed(f"{title} can't be reached; nothing was done.") from None

    async def _in_session(
        self, target: "_Target", seconds: float, request: Callable[[Client], Awaitable[Result]]
    ) -> Result:
        """Open a session, make the request and close the session, all within `seconds`.

        Once there is a result, an error while closing is only logged.
        """
        session = _Session()
        results: list[Result] = []
        try:
            with anyio.fail_after(seconds) as scope:
                # A library may catch an exception, but not a cancellation.
                session.on_failure = lambda: setattr(scope, "deadline", anyio.current_time())
                async with AsyncExitStack() as stack:
                    transport = await self._transport(target, session, stack)
                    mode = "legacy" if target.source in self._legacy else "auto"
                    async with Client(transport, mode=mode, cache=None, client_info=_CLIENT_INFO) as client:
                        if client.session.initialize_result:
                            self._legacy.add(target.source)
                        results.append(await request(client))
                        scope.deadline = anyio.current_time() + CLOSE_SECONDS
        except Exception as error:
            if not results:
                self._legacy.discard(target.source)
                raise _translate(target, seconds, session, error) from None
            log.info("mcp_session_not_closed", source=target.source, error=repr(error))
        return results[0]

    async def _transport(self, target: "_Target", session: "_Session", stack: AsyncExitStack) -> Transport:
        limit = ReadLimit(MAX_SESSION_BYTES, max_lines=MAX_SESSION_LINES, max_values=MAX_SESSION_VALUES)
        if target.source in self._commands:
            return stdio_transport(self._commands[target.source], limit, on_failure=session.fail)
        session.http = GuardedTransport(self._allowed_hosts, limit, on_failure=session.fail)
        headers = {"Authorization": f"Bearer {target.token}"} if target.token else None
        http_client = httpx2.AsyncClient(
            headers=headers, timeout=None, transport=session.http, trust_env=False, follow_redirects=False
        )
        return streamable_http_client(
            target.source,
            http_client=await stack.enter_async_context(http_client),
            max_sse_event_size=MAX_SESSION_BYTES,
        )


@dataclass(frozen=True, slots=True)
class _Target:
    """A server, its title for error messages, and its token."""

    source: str
    title: str
    token: str | None


class _Session:
    """The transport of one session and its first failure."""

    def __init__(self) -> None:
        self.failure: SmartSupportError | None = None
        self.http: GuardedTransport | None = None
        self.on_failure: Callable[[], None] = lambda: None

    def fail(self, error: SmartSupportError) -> None:
        """End the session with this error."""
        self.failure = self.failure or error
        self.on_failure()


async def _all_tools(client: Client) -> list[McpTool]:
    """All pages of the tool list, up to `MAX_TOOLS` tools."""
    tools: list[McpTool] = []
    cursor: str | None = None
    while len(tools) < MAX_TOOLS:
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if not cursor:
            break
    return tools[:MAX_TOOLS]


def _decode(result: CallToolResult | InputRequiredResult, title: str) -> Any:
    if isinstance(result, InputRequiredResult):
        raise ToolRefused(f"{title} requires more input, which is not supported.")
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    if result.is_error:
        raise ToolRefused(_one_line(text) or "The tool refused the call and gave no reason.")
    if len(text) > MAX_RESULT_BYTES:
        raise _too_large(title)
    if result.structured_content is not None and is_json_encodable(result.structured_content):
        return result.structured_content
    return json_or_text(text.encode()) or {"message": "Done."}


def _too_large(title: str) -> ResponseTooLarge:
    return ResponseTooLarge(f"{title} sent a response that is too large; request less at once.")


def _translate(target: _Target, seconds: float, session: _Session, error: Exception) -> SmartSupportError:
    """The error of a session as one of ours."""
    own = session.failure or _own_error(error)
    log.warning("mcp_server_failed", source=target.source, error=repr(error), cause=repr(own))
    if isinstance(own, ResponseTooLarge):
        return _too_large(target.title)
    if isinstance(own, (OutboundRefused, ToolRefused)):
        return own
    if isinstance(error, TimeoutError):
        return ToolUnavailable(f"{target.title} did not respond within {seconds:g} s.")
    if session.http and session.http.post_status in (401, 403):
        return ToolUnauthorized(f"{target.title} requires a token; enter the one that it issued.")
    # The server responded, so a write may have had its effect.
    if isinstance(own, ToolFailed) or isinstance(error, ValidationError):
        return ToolUnavailable(f"{target.title} sent a response that can't be read.")
    return ToolUnavailable(f"{target.title} can't be reached; try again later.")


def _own_error(error: BaseException) -> SmartSupportError | None:
    """The first of our errors in an exception group or a chain of causes."""
    if isinstance(error, SmartSupportError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((own for one in error.exceptions if (own := _own_error(one))), None)
    return _own_error(error.__cause__) if error.__cause__ else None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
