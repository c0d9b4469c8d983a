"""Allows only the Gradio routes that the console and `gradio_client` need.

Gradio has routes for files, proxies, recordings and editing, and new versions add more. A route that is not
listed here is refused, so that an update can't open one unnoticed. Each function checks its caller itself.
"""

import contextlib
from collections import OrderedDict, defaultdict
from typing import Any

import orjson
from fastapi.responses import JSONResponse, Response
from starlette._utils import get_route_path
from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages import gradio_requests
from pages.gradio_requests import API
from smart_support.errors import Forbidden, NotFound, SmartSupportError, TooLarge

_PAGES = ("/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json", "/pwa_icon")
_FILES = ("/svelte/", "/static/", "/assets/", "/pwa_icon/")
_CALLS = tuple(
    API + name
    for name in (
        *("info", "openapi.json", "app_id", "startup-events", "theme.css", "user", "login_check"),
        *("queue/join", "queue/data", "queue/status", "cancel"),
    )
)
_NAMED_CALLS = (API + "call/", API + "heartbeat/")
# What the panel "Use via API" asks for and is not there. A browser logs a status from 400 on as an error, and
# the panel takes one below 300 for a running MCP server.
_ABSENT = ("/monitoring/summary", API + "mcp/schema")
# Of one user; the oldest are forgotten. A forgotten session can be begun again, a forgotten call not read.
_MAX_SESSIONS = 1000
_MAX_CALLS = 10_000


class GradioAllowlist:
    """ASGI middleware inside Gradio's app that refuses other routes, other users' sessions and wrong calls.

    Whoever knows a page's `session_hash` can read its streams and cancel its runs, and whoever knows the
    `event_id` of a call can read its result. So a hash belongs to the first user who sends it, and a call to
    the user who made it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._sessions = _Owners(_MAX_SESSIONS)
        self._calls = _Owners(_MAX_CALLS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on allowed requests."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = get_route_path(scope)
        if scope["method"] == "GET" and path in _ABSENT:
            await Response(status_code=304)(scope, receive, send)
            return
        try:
            if not is_needed(path):
                raise Forbidden("This Gradio route is disabled.")
            if scope["method"] == "POST":
                await self._post(scope, receive, send)
                return
            # Anybody may have the files: the login page has its fonts from there.
            if not path.startswith(_FILES):
                self._check(scope, None)
        except SmartSupportError as error:
            await _refused(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, body = get_route_path(scope), await _body(receive)
        given = gradio_requests.parsed(body, Headers(scope=scope).get("content-type", ""))
        self._check(scope, given)
        given = gradio_requests.checked(scope["app"].get_blocks(), path, given)
        body = orjson.dumps(given)
        left_out = (b"content-length", b"content-encoding", b"transfer-encoding")
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in left_out]
        scope["headers"] = [*headers, (b"content-length", str(len(body)).encode())]
        if gradio_requests.is_call(path):
            send = self._noting_call(scope["state"]["user"].name, send)
        await self._app(scope, _again(body, receive), send)

    def _check(self, scope: Scope, given: dict[str, Any] | None) -> None:
        """Check that the session and the call of a request are the user's own."""
        path, name = get_route_path(scope), scope["state"]["user"].name
        sessions = set(QueryParams(scope["query_string"]).getlist("session_hash"))
        if path.startswith(API + "heartbeat/"):
            sessions.add(path.removeprefix(API + "heartbeat/").rstrip("/"))
        if given is not None and (session := gradio_requests.session_of(given)):
            sessions.add(session)
        if any(self._sessions.claim(one, name) != name for one in sessions):
            raise Forbidden("This Gradio session belongs to another user.")
        if event_id := gradio_requests.event_of(path, given):
            owner = self._calls.of(event_id)
            if owner is None:
                raise NotFound("There is no such call, or its result is no longer kept.")
            if owner != name:
                raise Forbidden("This Gradio call belongs to another user.")

    def _noting_call(self, name: str, send: Send) -> Send:
        """Note whose the call is whose `event_id` is answered."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.body":
                with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
                    self._calls.claim(orjson.loads(message.get("body", b""))["event_id"], name)
            await send(message)

        return sending


class _Owners:
    """Whose each id is. A user who has too many loses their oldest, never those of somebody else."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._owner: dict[str, str] = {}
        self._ids: defaultdict[str, OrderedDict[str, None]] = defaultdict(OrderedDict)

    def of(self, id_: str) -> str | None:
        """The owner of an id."""
        return self._owner.get(id_)

    def claim(self, id_: str, name: str) -> str:
        """The owner of an id: this user if it had none."""
        owner = self._owner.setdefault(id_, name)
        if owner == name:
            ids = self._ids[name]
            ids[id_] = None
            ids.move_to_end(id_)
            while len(ids) > self._most:
                del self._owner[ids.popitem(last=False)[0]]
        return owner


def _refused(error: SmartSupportError) -> JSONResponse:
    shown = {"code": error.code, "message": error.message}
    return JSONResponse({"success": False, "data": None, "error": shown}, error.status)


def is_needed(path: str) -> bool:
    """Whether a path of Gradio's app is allowed. Placeholders in a route's path count as any text."""
    return path.rstrip("/") in (*_PAGES, "", *_CALLS) or path.startswith((*_FILES, *_NAMED_CALLS))


async def _body(receive: Receive) -> bytes:
    """The whole body; raises `TooLarge` where an outer middleware limits its size."""
    body = bytearray()
    while True:
        try:
            message = await receive()
        except HTTPException as error:
            raise TooLarge(str(error.detail)) from None
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Replay a body that was read, then pass on the messages after it."""
    left: list[Message] = [{"type": "http.request", "body": body}]

    async def read() -> Message:
        return left.pop() if left else await receive()

    return read
