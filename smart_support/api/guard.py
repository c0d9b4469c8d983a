"""Who is at the door: asked once for every request, whatever it is for, before any route sees it.

A program shows `X-API-Key` (a socket also `?token=`), a browser the cookie of its login. What each may do
is checked where it is done; the console's own routes pass here like all others.
"""

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from fastapi.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from smart_support.api.envelope import PREFIX, failure
from smart_support.auth import ANYONE, User

COOKIE = "smart_support_login"
_OPEN = ("/api/v1/health", "/login", "/logout", "/console/base.css", "/console/favicon.svg")
_MAX_STREAMS = 10_000
_WHO = "Say who you are: log in, or send an API key as X-API-Key."


class Guard:
    """ASGI middleware that puts the `User` into `scope["state"]["user"]`, or answers 401."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # Gradio takes whoever knows a page's session_hash for that page, so it is tied to its first user.
        self._streams: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes from somebody, or is open to all."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        services = scope["app"].state.services
        user = await _user(services, scope) if services.accounts.asked_for else ANYONE
        if user is not None and self._is_theirs(scope, user):
            scope.setdefault("state", {})["user"] = user
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await _refuse_socket(receive, send)
        elif scope["path"] in _OPEN:
            await self._app(scope, receive, send)
        elif user is None and _wants_page(scope):
            await RedirectResponse("/login", 303)(scope, receive, send)
        elif user is None:
            await failure("unauthorized", _WHO, 401)(scope, receive, send)
        else:
            await failure("forbidden", "This page belongs to somebody else.", 403)(scope, receive, send)

    def _is_theirs(self, scope: Scope, user: User) -> bool:
        stream = _query(scope).get("session_hash")
        if stream is None:
            return True
        while len(self._streams) >= _MAX_STREAMS:
            del self._streams[next(iter(self._streams))]
        return self._streams.setdefault(stream, user.name) == user.name


async def _user(services: Any, scope: Scope) -> User | None:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    key = headers.get(b"x-api-key")
    if key is None and scope["type"] == "websocket":
        key = _query(scope).get("token")
    if key is not None:
        user: User | None = services.accounts.with_key(key)
        return user
    token = cookie(headers)
    name = await services.logins.name(token) if token else None
    return services.accounts.named(name) if name else None


def cookie(headers: Mapping[bytes, str]) -> str | None:
    """The login's token, if the browser sent one."""
    try:
        morsel = SimpleCookie(headers.get(b"cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def _query(scope: Scope) -> dict[str, str]:
    found = parse_qs(scope["query_string"].decode("latin-1"))
    return {name: values[-1] for name, values in found.items()}


def _wants_page(scope: Scope) -> bool:
    accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
    return scope["method"] == "GET" and "text/html" in accept and not scope["path"].startswith(PREFIX)


async def _refuse_socket(receive: Receive, send: Send) -> None:
    """Told in the socket's own words, since a browser can't read the status of a refused handshake."""
    await receive()
    await send({"type": "websocket.accept"})
    told = f'{{"type":"error","code":"unauthorized","message":"{_WHO}"}}'
    await send({"type": "websocket.send", "text": told})
    await send({"type": "websocket.close", "code": 1008, "reason": "unauthorized"})
