"""`/mcp`: MCP over streamable HTTP. A session can only be used with the key that began it."""

import asyncio

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from smart_support.concurrency import wait_for_end
from smart_support.identity.users import User
from smart_support.mcp_server.server import McpServer

_CLOSED = {"jsonrpc": "2.0", "id": None, "error": {"code": -32603, "message": "Smart Support is restarting."}}


class McpEndpoint:
    """The ASGI application of `/mcp`. Sessions live in memory: after a restart a client begins anew."""

    def __init__(self, server: McpServer) -> None:
        self._server = server
        # The SDK checks neither Host nor Origin: our own middleware has done it for all paths.
        self._manager = StreamableHTTPSessionManager(server)
        self._opened, self._closing = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start to answer."""
        self._task = asyncio.create_task(self._run())
        await self._opened.wait()

    async def close(self) -> None:
        """End all sessions and open streams."""
        self._server.stop_listening()
        self._closing.set()
        if self._task:
            await wait_for_end(self._task)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whose user the app has authenticated."""
        if self._closing.is_set():
            await JSONResponse(_CLOSED, 503)(scope, receive, send)
            return
        user: User = scope["state"]["user"]
        token = AccessToken(token="", client_id=user.name, scopes=[])
        await self._manager.handle_request({**scope, "user": AuthenticatedUser(token)}, receive, send)
        if scope["method"] == "DELETE":
            headers = dict(scope["headers"])
            self._server.forget(headers.get(b"mcp-session-id", b"").decode("latin-1"))

    async def _run(self) -> None:
        # In a task of its own, because the SDK's scope ends in the task in which it began.
        async with self._manager.run():
            self._opened.set()
            await self._closing.wait()
