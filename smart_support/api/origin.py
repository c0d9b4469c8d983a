"""Keeps other sites' pages out: what a browser sends from elsewhere neither changes anything nor opens `/ws`.

Browsers send `Origin` (RFC 6454) with both; programs send none and pass. Who the user is, is not asked here.
"""

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smart_support.api.envelope import failure

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


class SameOrigin:
    """ASGI middleware that refuses a foreign `Origin` with 403 (the socket before it is accepted)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what has no `Origin`, or one that names the host it was sent to."""
        if scope["type"] == "websocket" and _foreign(scope):
            await receive()
            refused: Message = {"type": "websocket.close", "code": 1008, "reason": "foreign origin"}
            await send(refused)
        elif scope["type"] == "http" and scope["method"] not in _HARMLESS and _foreign(scope):
            message = "This request comes from a page of another site; open the console itself."
            await failure("forbidden", message, 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _foreign(scope: Scope) -> bool:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    origin = headers.get(b"origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get(b"host", "").lower()
