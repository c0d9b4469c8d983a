"""The MCP server for clients that start a program: it passes each request on to a running Smart Support."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.types import (
    CONNECTION_CLOSED,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)

from smart_support.mcp_server.description import INSTRUCTIONS, META_PREFIX
from smart_support.version import __version__

T = TypeVar("T")
Context = ServerRequestContext[Any, Any]
_CONNECT_SECONDS = 10.0
# Longer than any call waits for its decision.
_READ_SECONDS = 600.0


async def serve(url: str, key: str | None) -> None:
    """Serve standard input and output until the client closes them.

    Args:
        url: of the running app, for example `http://127.0.0.1:7860`.
        key: the API key of the client.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else None
    timeout = httpx2.Timeout(_CONNECT_SECONDS, read=_READ_SECONDS)
    async with httpx2.AsyncClient(headers=headers, timeout=timeout, trust_env=False) as http:
        server = _passing_on(url.rstrip("/"), http)
        async with stdio_server() as (read_stream, write_stream):
            await server.run(read_stream, write_stream, server.create_initialization_options())


def _passing_on(base: str, http: httpx2.AsyncClient) -> Server[Any]:
    url = f"{base}/mcp"

    async def ask(context: Context, request: Callable[[Client], Awaitable[T]]) -> T:
        # A client of its own for each request, so that a restart of the app needs no care.
        params = context.session.client_params
        info = params.client_info if params else None
        transport = streamable_http_client(url, http_client=http)
        try:
            async with Client(transport, cache=None, client_info=info) as app:
                return await request(app)
        except (httpx2.HTTPError, OSError, ExceptionGroup) as error:
            raise MCPError(CONNECTION_CLOSED, await _problem(base, http)) from error
        except MCPError as error:
            if error.code != CONNECTION_CLOSED:
                raise
            raise MCPError(CONNECTION_CLOSED, await _problem(base, http)) from error

    async def list_tools(context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return await ask(context, lambda app: app.list_tools())

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        given = params.meta or {}
        meta = {name: value for name, value in given.items() if name.startswith(META_PREFIX)}

        async def call(app: Client) -> CallToolResult:
            return await app.call_tool(
                params.name,
                params.arguments,
                progress_callback=context.session.report_progress,
                meta=meta or None,  # type: ignore[arg-type]
            )

        try:
            return await ask(context, call)
        except MCPError as error:
            if error.code != CONNECTION_CLOSED:
                raise
            text = f"{error.message} The call may have been taken; repeat it to find out."
            return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)

    return Server(
        "smart-support",
        version=__version__,
        title="Smart Support",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _problem(base: str, http: httpx2.AsyncClient) -> str:
    """Why the app gives no answer, and what to do."""
    try:
        answer = await http.get(f"{base}/api/v1/actions/none")
    except httpx2.HTTPError:
        return f"{base} does not answer. Start Smart Support there, or give its address with --url."
    if answer.status_code in (401, 403):
        return f"{base} refuses the key. Set SMART_SUPPORT_KEY to a key of this app with the role agent."
    return f"The connection to {base} was lost."
