"""The MCP server for clients that start a program: it passes each request on to a running Smart Support."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)

from smart_support.mcp_server.server import INSTRUCTIONS, META_PREFIX
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
        server = _passing_on(f"{url.rstrip('/')}/mcp", http)
        async with stdio_server() as (read_stream, write_stream):
            await server.run(read_stream, write_stream, server.create_initialization_options())


def _passing_on(url: str, http: httpx2.AsyncClient) -> Server[Any]:
    async def ask(context: Context, request: Callable[[Client], Awaitable[T]]) -> T:
        # A client of its own for each request, so that a restart of the app needs no care.
        params = context.session.client_params
        info = params.client_info if params else None
        async with Client(streamable_http_client(url, http_client=http), cache=None, client_info=info) as app:
            return await request(app)

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
        except (httpx2.HTTPError, OSError, ExceptionGroup) as error:
            text = f"No answer from {url}: {error}. The call may have been taken; repeat it to find out."
            return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)

    return Server(
        "smart-support",
        version=__version__,
        title="Smart Support",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
