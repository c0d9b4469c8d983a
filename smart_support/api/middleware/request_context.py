"""Gives every request and socket an id and logs its end.

The id comes from `X-Request-ID` or is new, is answered in the same header, and is in every log line of the
request and of the turn that it starts. A logged path contains no ids of customers or conversations. The
console's files and probes are not logged.
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
# Monitors request these every few seconds.
PROBES = frozenset({"/api/v1/health", "/api/v1/metrics"})
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "WS"})
_LOGGED = ("/api/", "/ws", "/login", "/logout")


class RequestContextMiddleware:
    """ASGI middleware, the outermost: binds the request id and logs the outcome."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bind the request id, pass the request on, and log its end."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = _set_request_id(scope)
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
            _log_end(scope, status or 500, time.perf_counter() - started)


def is_unobserved(scope: MutableMapping[str, Any]) -> bool:
    """Whether a request gets no trace span: files of the console, Gradio's polling, probes."""
    return scope["path"] in PROBES or not scope["path"].startswith(("/api/", "/ws"))


def template(scope: MutableMapping[str, Any]) -> str:
    """Return the path of the route, such as `/api/v1/customers/{customer_id}`, so that no id is logged."""
    if "route" not in scope:
        return "(none)"
    path = f"{scope['path']}/"
    for name, value in reversed(scope.get("path_params", {}).items()):
        before, separator, after = path.rpartition(f"/{value}/")
        path = f"{before}/{{{name}}}/{after}" if separator else path
    return path.removesuffix("/")


def _set_request_id(scope: Scope) -> str:
    """Return the request id, and put it into the request's headers for everything that reads it there."""
    headers = scope["headers"]
    given = next((value.decode("latin-1") for name, value in headers if name == _HEADER), "")
    request_id = given if _SANE.fullmatch(given) else clock.new_id()
    kept = [(name, value) for name, value in headers if name != _HEADER]
    scope["headers"] = [*kept, (_HEADER, request_id.encode())]
    return request_id


def _log_end(scope: Scope, status: int, seconds: float) -> None:
    path, method = scope["path"], scope.get("method", "WS")
    method = method if method in _METHODS else "OTHER"
    if path.startswith("/api/"):
        scope["app"].state.services.meters.count_request(method, template(scope), status, seconds)
    if path in PROBES or not path.startswith(_LOGGED):
        return
    thread_id = scope.get("path_params", {}).get("thread_id")
    ids = {"thread_id": thread_id} if thread_id else {}
    spent = round(seconds * 1000, 1)
    logger.info("request", method=method, path=template(scope), status=status, duration_ms=spent, **ids)
