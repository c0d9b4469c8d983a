"""Allows only the Gradio routes that the console and `gradio_client` need.

Gradio has routes for files, proxies, recordings and editing, and new versions add more. A route that is not
listed here is refused, so that an update can't open one unnoticed. Each function checks its caller itself.
"""

from typing import Any
from urllib.parse import parse_qs

import orjson
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_API = "/gradio_api/"
_PAGES = ("/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json", "/pwa_icon")
_FILES = ("/svelte/", "/static/", "/assets/", "/pwa_icon/")
_CALLS = tuple(
    _API + name
    for name in (
        *("info", "openapi.json", "app_id", "startup-events", "theme.css", "user", "login_check"),
        *("queue/join", "queue/data", "queue/status", "cancel"),
    )
)
_NAMED_CALLS = (_API + "call/", _API + "heartbeat/")
_MAX_STREAMS = 10_000


class GradioAllowlist:
    """ASGI middleware inside Gradio's app that refuses other routes and other users' sessions.

    Whoever knows a page's `session_hash` can read its streams and cancel its runs. So a hash belongs to the
    first user who sends it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._streams: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on allowed requests."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if not _is_needed(path):
            await _refused("This Gradio route is disabled.")(scope, receive, send)
            return
        body = b""
        if scope["method"] == "POST":
            try:
                body = await _body(receive)
            except HTTPException as error:
                await _refused(error.detail, "too_large", 413)(scope, receive, send)
                return
            receive = _again(body, receive)
        if not all(self._is_own(stream, scope) for stream in _streams(scope, body)):
            await _refused("This Gradio session belongs to another user.")(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_own(self, stream: str, scope: Scope) -> bool:
        name: str = scope["state"]["user"].name
        while len(self._streams) >= _MAX_STREAMS:
            del self._streams[next(iter(self._streams))]
        return self._streams.setdefault(stream, name) == name


def _refused(why: str, code: str = "forbidden", status: int = 403) -> JSONResponse:
    return JSONResponse({"success": False, "data": None, "error": {"code": code, "message": why}}, status)


def _is_needed(path: str) -> bool:
    return path.rstrip("/") in (*_PAGES, "", *_CALLS) or path.startswith((*_FILES, *_NAMED_CALLS))


def _streams(scope: Scope, body: bytes) -> set[str]:
    """Every `session_hash` in a request's URL and JSON body."""
    path, query = scope["path"], parse_qs(scope["query_string"].decode("latin-1"))
    hashes = set(query.get("session_hash", ()))
    if path.startswith(_API + "heartbeat/"):
        hashes.add(path.removeprefix(_API + "heartbeat/"))
    try:
        given: Any = orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return hashes  # Gradio refuses the body, too
    if isinstance(given, dict) and isinstance(given.get("session_hash"), str):
        hashes.add(given["session_hash"])
    return hashes


async def _body(receive: Receive) -> bytes:
    """The whole body. An outer middleware limits its size."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Replay a body that was read, then pass on the messages after it."""
    left: list[Message] = [{"type": "http.request", "body": body}]

    async def read() -> Message:
        return left.pop() if left else await receive()

    return read
