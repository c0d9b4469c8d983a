"""Authenticates every request and socket, those of the console included. Authorisation happens elsewhere.

A program sends `X-API-Key` or `Authorization: Bearer` (a socket may send `?token=`), a browser the cookie of
its login. The key of an API client (role `agent`) reaches the actions and MCP alone.
"""

from collections.abc import Awaitable
from typing import Any
from urllib.parse import parse_qs, quote

import anyio
from fastapi.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from smart_support.api import cookies
from smart_support.api.envelope import PREFIX, failure
from smart_support.api.return_path import login_path
from smart_support.identity.users import ANYONE, Role, User
from smart_support.services import Services

_OPEN = (
    *("/api/v1/health", "/login", "/login/sso", "/login/callback", "/login/back-channel-logout", "/logout"),
    *("/console/base.css", "/console/favicon.svg"),
    # The fonts of the login page.
    *(f"/static/fonts/IBMPlexSans/IBMPlexSans-{weight}.woff2" for weight in ("Regular", "Bold")),
)
_DECIDE = "/decide/"
_FOR_PROGRAMS = (PREFIX, "/gradio_api")
# Streams that last as long as a page is open.
_STREAMS = ("/gradio_api/queue/data", "/gradio_api/heartbeat/")
_FOR_AGENTS = (f"{PREFIX}/health", f"{PREFIX}/actions", "/mcp")
_AGENTS_ELSEWHERE = "The key of an agent reaches /api/v1/actions, /mcp and /api/v1/health alone."
_UNAUTHORIZED = "Log in, or send an API key as X-API-Key."


class AuthenticationMiddleware:
    """ASGI middleware that puts the `User` into `scope["state"]["user"]`, or answers 401."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if it has a user or its path is public."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        services = scope["app"].state.services
        user, token = (
            await authenticate(services, scope) if services.accounts.is_login_required else (ANYONE, None)
        )
        if user is not None and user.role is Role.AGENT and not _is_for_agents(scope["path"]):
            await _refuse(scope, receive, send, "forbidden", _AGENTS_ELSEWHERE, 403)
        elif user is not None:
            scope.setdefault("state", {})["user"] = user
            is_stream = scope["type"] == "websocket" or scope["path"].startswith(_STREAMS)
            if token and is_stream:
                await serve_while_logged_in(
                    self._app(scope, receive, send), services.logins, token, scope, send
                )
            else:
                await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] in _OPEN:
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and _wants_page(scope):
            login = login_path(_address(scope), services.settings.root_path)
            await RedirectResponse(login, 303)(scope, receive, send)
        else:
            await _refuse(scope, receive, send, "unauthorized", _UNAUTHORIZED, 401)


async def authenticate(services: Services, scope: Scope) -> tuple[User | None, str | None]:
    """Return the user, and the login's token if the request came from a browser."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    key = headers.get(b"x-api-key")
    if key is None:
        key = _bearer(headers.get(b"authorization", ""))
    if key is None and scope["type"] == "websocket":
        key = _query(scope).get("token")
    if key is not None:
        return services.accounts.with_key(key), None
    token = cookies.read(scope, cookies.LOGIN)
    name = await services.logins.user_name(token) if token else None
    return (services.accounts.named(name), token) if name else (None, None)


async def serve_while_logged_in(
    serving: Awaitable[None], logins: Any, token: str, scope: Scope, send: Send
) -> None:
    """Serve a socket or stream, and end it when the login ends."""
    failure: Exception | None = None
    is_over = True

    async def end_with_login() -> None:
        await logins.wait_until_ended(token)
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(end_with_login)
        try:
            await serving
        except Exception as error:
            failure = error  # raised below, because the task group would wrap it
        is_over = False
        tasks.cancel_scope.cancel()
    if failure:
        raise failure
    if not is_over:
        return
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "unauthorized"})
    else:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _bearer(authorization: str) -> str | None:
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def _is_for_agents(path: str) -> bool:
    return path in _FOR_AGENTS or path.startswith(f"{PREFIX}/actions/")


def _query(scope: Scope) -> dict[str, str]:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return {name: values[-1] for name, values in query.items()}


def _address(scope: Scope) -> str:
    """The path and query of a request, as the browser's address bar shows them."""
    query = scope["query_string"].decode("latin-1")
    return quote(scope["path"], safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")


def _wants_page(scope: Scope) -> bool:
    accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
    is_page = scope["method"] == "GET" and not scope["path"].startswith(_FOR_PROGRAMS)
    # A login may end while somebody reads the page of a link to decide.
    return "text/html" in accept and (is_page or scope["path"].startswith(_DECIDE))


async def _refuse(scope: Scope, receive: Receive, send: Send, code: str, message: str, status: int) -> None:
    if scope["type"] == "websocket":
        await _refuse_socket(receive, send, code, message)
        return
    # RFC 9110 asks for it with a 401.
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    await failure(code, message, status, headers)(scope, receive, send)


async def _refuse_socket(receive: Receive, send: Send, code: str, message: str) -> None:
    """Accept the socket and send the error as a frame: a browser can't read a refused handshake's status."""
    await receive()
    await send({"type": "websocket.accept"})
    frame = f'{{"type":"error","code":"{code}","message":"{message}"}}'
    await send({"type": "websocket.send", "text": frame})
    await send({"type": "websocket.close", "code": 1008, "reason": code})
