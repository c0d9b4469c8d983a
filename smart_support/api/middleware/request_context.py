"""Every request and socket has an id: taken from `X-Request-ID`, else made, answered in the same header.

It stands on every line that is logged meanwhile, those of a turn that the request begins among them. Each
request of a program is a line, without ids of anybody in its path; the console's files and probes are none.
"""

import re
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smart_support import clock
from smart_support.observability import log, tracing

logger = log.get_logger()
HEADER = "x-request-id"
_HEADER = HEADER.encode()
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+=-]{0,127}")
# What asks every few seconds, and says nothing by it.
PROBES = frozenset({"/api/v1/health", "/api/v1/metrics"})
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "WS"})
_TOLD = ("/api/", "/ws", "/login", "/logout")


class Requests:
    """ASGI middleware, the outermost: what a request is called, and what came of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name it, pass it on, and log its end."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = _named(scope)
        structlog.contextvars.clear_contextvars()
        log.bind(request_id=request_id)
        tracing.note(request_id=request_id)
        status, started = 0, time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.accept"):
                status = message.get("status", 101)
                message["headers"] = [*message.get("headers", ()), (_HEADER, request_id.encode())]
            elif message["type"] == "websocket.close":
                status = message.get("code", 1000)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            _tell(scope, status or 500, time.perf_counter() - started)


def unobserved(scope: MutableMapping[str, Any]) -> bool:
    """Whether a request is no span of its own: the console's files, Gradio's polling, probes."""
    return scope["path"] in PROBES or not scope["path"].startswith(("/api/", "/ws"))


def template(scope: MutableMapping[str, Any]) -> str:
    """The path as its route has it, `/api/v1/customers/{customer_id}`: whose it was is nobody's business."""
    if "route" not in scope:
        return "(none)"
    path = str(scope["path"])
    for name, value in reversed(scope.get("path_params", {}).items()):
        before, found, after = path.rpartition(f"/{value}")
        path = f"{before}/{{{name}}}{after}" if found else path
    return path


def _named(scope: Scope) -> str:
    """The request's id, put in the place of whatever it came with, so that all who look read the same."""
    headers = scope["headers"]
    given = next((value.decode("latin-1") for name, value in headers if name == _HEADER), "")
    request_id = given if _SANE.fullmatch(given) else clock.new_id()
    kept = [(name, value) for name, value in headers if name != _HEADER]
    scope["headers"] = [*kept, (_HEADER, request_id.encode())]
    return request_id


def _tell(scope: Scope, status: int, seconds: float) -> None:
    path, method = scope["path"], scope.get("method", "WS")
    method = method if method in _METHODS else "OTHER"
    if path.startswith("/api/"):
        scope["app"].state.services.meters.answered(method, template(scope), status, seconds)
    if path in PROBES or not path.startswith(_TOLD):
        return
    thread_id = scope.get("path_params", {}).get("thread_id")
    ids = {"thread_id": thread_id} if thread_id else {}
    spent = round(seconds * 1000, 1)
    logger.info("request", method=method, path=template(scope), status=status, duration_ms=spent, **ids)
