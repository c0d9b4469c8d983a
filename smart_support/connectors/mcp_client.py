"""Lists and calls the tools of MCP servers, over HTTP or a child process."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import anyio
import httpx2
import orjson
from mcp import Client, MCPError
from mcp.client import Transport
from mcp.client.session import IncomingMessage
from mcp.client.sse import sse_client
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
    ToolListChangedNotification,
)
from mcp.types import Tool as McpTool
from pydantic import TypeAdapter, ValidationError

from smart_support.connectors.mcp_result import readable_result, reason_of
from smart_support.connectors.mcp_stdio_server import StdioServer
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
MAX_TOOLS = 2000
# How many of the tools beyond that are named.
MAX_LEFT_OUT = 50
MAX_RESULT_BYTES = 2_000_000
# Of everything a server sends in one session, decompressed. A result may appear twice, as text and as JSON.
MAX_SESSION_BYTES = 5_000_000
# Of event streams and standard output. Each line costs some hundred microseconds, however short it is.
MAX_SESSION_LINES = 10_000
# JSON values. The SDK copies a response several times; an empty list takes about 330 bytes.
MAX_SESSION_VALUES = 250_000
LIST_SECONDS = 30.0
# How long a list of tools counts as the present one, if the server does not say that it has changed.
RECENT_SECONDS = 30.0
# What a server says a tool does. It decides nothing, but a change of it is a change of the tool.
_HINTS = frozenset({"read_only_hint", "destructive_hint", "idempotent_hint", "open_world_hint"})
CLOSE_SECONDS = 5.0
# How a server of revision 2024-11-05 answers the POST of a newer transport.
_NO_POST = frozenset({400, 404, 405, 406, 415, 501})
_CLIENT_INFO = Implementation(name="smart-support", version=__version__)
# The SDK's `call_tool` lists the tools after a call to validate the result against their schemas. An error
# there would lose the result of a write that was executed.
_RESULT: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(CallToolResult | InputRequiredResult)


class McpClient:
    """Calls the servers that the operator configured by command, and those at any URL.

    A configured server has one process, which is kept. A URL gets one session for each request.
    """

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
        self._servers = {
            name: StdioServer(name, command, _CLIENT_INFO, _limit) for name, command in commands.items()
        }
        self._allowed_hosts = allowed_hosts
        self._timeout = timeout_seconds
        # Servers of a revision before 2026-07-28: probing for a newer one costs a request per call.
        self._legacy: set[str] = set()
        # Servers with the transport of revision 2024-11-05.
        self._event_streams: set[str] = set()
        # By server and token; a server may show each of its users other tools.
        self._recent: dict[tuple[str, str | None], _Listing] = {}
        # Each protects one list, so that calls at the same time share one request.
        self._listing: defaultdict[tuple[str, str | None], asyncio.Lock] = defaultdict(asyncio.Lock)
        # How often each server at a URL has said that its tools changed.
        self._tool_changes: Counter[str] = Counter()

    @property
    def processes(self) -> int:
        """How many processes of configured servers there are."""
        return sum(server.processes for server in self._servers.values())

    def keep_only(self, sources: Collection[str]) -> None:
        """End the processes of all other servers, as soon as they have answered what they were asked."""
        for name, server in self._servers.items():
            if name not in sources:
                server.retire()
        self._recent = {key: one for key, one in self._recent.items() if key[0] in sources}

    async def close(self) -> None:
        """End all processes."""
        for server in self._servers.values():
            await server.close()

    def check_source(self, source: str) -> None:
        """
        Raises:
            InvalidRequest: the source is neither a configured server nor a URL.
        """
        if source not in self._servers and not source.startswith(("http://", "https://")):
            known = ", ".join(self._servers) or "none"
            raise InvalidRequest(
                f"mcp: {source[:100]!r} is neither a URL nor a server in SMART_SUPPORT_MCP_SERVERS "
                f"(configured: {known})"
            )

    async def list_tools(self, source: str, token: str | None = None) -> dict[str, Any]:
        """The server's title and version, and its tools, in the form in which they are stored.

        `left_out` names tools beyond `MAX_TOOLS`, which can't be called.

        Args:
            token: as in `call_tool`.

        Raises:
            ToolUnavailable: the server can't be reached or does not respond in time.
            ResponseTooLarge: the server sends more than `MAX_SESSION_BYTES`.
        """

        changes: int | None = None

        async def request(client: Client) -> dict[str, Any]:
            nonlocal changes
            # Read first: a change while the list is sent makes it out of date.
            changes = self._changes_of(source)
            every = await _all_tools(client)
            tools = [_stored(tool) for tool in every[:MAX_TOOLS]]
            info = client.server_info
            server = {"title": (info and info.name) or source, "version": (info and info.version) or ""}
            left_out = [tool.name for tool in every[MAX_TOOLS:][:MAX_LEFT_OUT]]
            return {"mcp": server, "tools": tools} | ({"left_out": left_out} if left_out else {})

        target = _Target(source, f"The MCP server {source[:100]}", token)
        listing = await self._in_session(target, LIST_SECONDS, request)
        self._recent[source, token] = _Listing(listing, changes, anyio.current_time())
        return listing

    async def recent_tools(self, source: str, token: str | None = None) -> dict[str, Any]:
        """As `list_tools`, but what was listed in the last `RECENT_SECONDS` counts.

        A server is asked again at once if it has said that its tools changed, or if it was started again.

        Raises:
            ToolUnavailable, ResponseTooLarge: as in `list_tools`.
        """
        async with self._listing[source, token]:
            known = self._recent.get((source, token))
            changes = self._changes_of(source)
            is_recent = known is not None and anyio.current_time() - known.listed_at < RECENT_SECONDS
            if known and is_recent and changes is not None and known.changes == changes:
                return known.tools
            return await self.list_tools(source, token)

    def _changes_of(self, source: str) -> int | None:
        server = self._servers.get(source)
        return server.tool_changes if server else self._tool_changes[source]

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
        """The tool's result; see `readable_result`.

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
                    log.info("mcp_call_rejected", source=source, tool=name, message=error.message[:1000])
                    raise ToolRefused(reason_of(error.message)) from None
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
        """Make the request in a session of the server, within `seconds`."""
        if server := self._servers.get(target.source):
            try:
                return await server.request(seconds, request)
            except Exception as error:
                raise _translate(target, seconds, _Session(), error) from None
        session = _Session(is_event_stream=target.source in self._event_streams)
        try:
            return await self._in_new_session(target, seconds, session, request)
        except SmartSupportError:
            if session.is_event_stream or not session.has_no_streamable_http:
                self._event_streams.discard(target.source)
                raise
            older = _Session(is_event_stream=True)
            try:
                result = await self._in_new_session(target, seconds, older, request)
            except SmartSupportError as error:
                # Where it is no such server either, the first error says more.
                if older.is_open or isinstance(error, ToolUnauthorized):
                    raise
            else:
                self._event_streams.add(target.source)
                return result
            raise

    async def _in_new_session(
        self,
        target: "_Target",
        seconds: float,
        session: "_Session",
        request: Callable[[Client], Awaitable[Result]],
    ) -> Result:
        """Open a session, make the request and close the session, all within `seconds`.

        Once there is a result, an error while closing is only logged.
        """
        results: list[Result] = []
        try:
            with anyio.fail_after(seconds) as scope:
                # A library may catch an exception, but not a cancellation.
                session.on_failure = lambda: setattr(scope, "deadline", anyio.current_time())
                async with AsyncExitStack() as stack:
                    transport = await self._transport(target, session, stack)
                    is_legacy = session.is_event_stream or target.source in self._legacy
                    mode = "legacy" if is_legacy else "auto"
                    client = Client(
                        transport,
                        mode=mode,
                        cache=None,
                        client_info=_CLIENT_INFO,
                        message_handler=partial(self._handle_message, target.source),
                    )
                    async with client:
                        session.is_open = True
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

    async def _handle_message(self, source: str, message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._tool_changes[source] += 1

    async def _transport(self, target: "_Target", session: "_Session", stack: AsyncExitStack) -> Transport:
        session.http = GuardedTransport(self._allowed_hosts, _limit(), on_failure=session.fail)
        headers = {"Authorization": f"Bearer {target.token}"} if target.token else None
        http_client = httpx2.AsyncClient(
            headers=headers,
            timeout=None,
            transport=session.http,
            trust_env=False,
            follow_redirects=False,
            event_hooks={"response": [session.check_response]},
        )
        if session.is_event_stream:
            return sse_client(target.source, httpx_client_factory=lambda *_, **__: http_client)
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


@dataclass(frozen=True, slots=True)
class _Listing:
    """What `list_tools` returned, and when.

    Attributes:
        changes: how often the server's tools had changed before.
        listed_at: seconds, as of `anyio.current_time`.
    """

    tools: dict[str, Any]
    changes: int | None
    listed_at: float


@dataclass(slots=True, kw_only=True)
class _Session:
    """The transport of one session and its first failure.

    Attributes:
        is_event_stream: it uses the transport of revision 2024-11-05: answers come as events of a GET.
        is_open: the server has introduced itself.
    """

    is_event_stream: bool = False
    is_open: bool = False
    failure: SmartSupportError | None = None
    http: GuardedTransport | None = None
    on_failure: Callable[[], None] = field(default=lambda: None)
    status: int = 0

    @property
    def has_no_streamable_http(self) -> bool:
        """Whether the server refused the first POST as a server of revision 2024-11-05 does."""
        return (
            not self.is_open
            and self.failure is None
            and bool(self.http and self.http.post_status in _NO_POST)
        )

    def fail(self, error: SmartSupportError) -> None:
        """End the session with this error."""
        self.failure = self.failure or error
        self.on_failure()

    async def check_response(self, response: httpx2.Response) -> None:
        """End a session over an event stream that refuses a message: the SDK would wait for an answer."""
        if response.status_code in (401, 403):
            self.status = response.status_code
        if self.is_event_stream and response.status_code >= 400:
            self.fail(ToolUnavailable(f"status {response.status_code}"))


def _limit() -> ReadLimit:
    return ReadLimit(MAX_SESSION_BYTES, max_lines=MAX_SESSION_LINES, max_values=MAX_SESSION_VALUES)


async def _all_tools(client: Client) -> list[McpTool]:
    """All pages of the tool list, up to the one with which there are more than `MAX_TOOLS` tools."""
    tools: list[McpTool] = []
    cursor: str | None = None
    while len(tools) <= MAX_TOOLS:
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if not cursor:
            break
    return tools


def _stored(tool: McpTool) -> dict[str, Any]:
    hints = (
        tool.annotations.model_dump(include={*_HINTS}, by_alias=True, exclude_none=True)
        if tool.annotations
        else {}
    )
    return {
        "name": tool.name,
        "description": tool.description or "",
        "schema": tool.input_schema,
        "output_schema": tool.output_schema,
        "hints": hints,
    }


def _decode(result: CallToolResult | InputRequiredResult, title: str) -> Any:
    if isinstance(result, InputRequiredResult):
        raise ToolRefused(f"{title} requires more input, which is not supported.")
    texts = [part.text for part in result.content if isinstance(part, TextContent)]
    if result.is_error:
        reason = "\n".join(texts)
        log.info("mcp_tool_refused", server=title, message=reason[:1000])
        raise ToolRefused(reason_of(reason))
    value = readable_result(result)
    if sum(map(len, texts)) > MAX_RESULT_BYTES or len(orjson.dumps(value)) > MAX_RESULT_BYTES:
        raise _too_large(title)
    return value


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
    if session.status:
        return ToolUnauthorized(f"{target.title} requires a token; enter the one that it issued.")
    if isinstance(error, TimeoutError) and not own:
        return ToolUnavailable(f"{target.title} did not respond within {seconds:g} s.")
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
