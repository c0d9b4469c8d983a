"""Lets only trusted proxies say where a request comes from.

A client can send any `X-Forwarded-*` header. From a peer that is not a trusted proxy these headers are
removed before anything reads them; Gradio, for one, builds the page's address from `X-Forwarded-Host`.
"""

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_PREFIX = b"x-forwarded-"
_OTHERS = frozenset({b"forwarded", b"x-real-ip"})
# Read by Gradio instead of the address; only a server of Gradio's own in front of the app would send it.
_NEVER = frozenset({b"x-gradio-server"})


class TrustedProxiesMiddleware:
    """ASGI middleware that removes forwarding headers of untrusted peers, and applies those of trusted ones.

    A trusted proxy's `X-Forwarded-For` sets the client's address, its `X-Forwarded-Proto` the scheme. For the
    host of `PUBLIC_URL` its own scheme counts, whatever the proxies say.
    """

    def __init__(self, app: ASGIApp, *, trusted: str, public_url: str = "") -> None:
        """
        Args:
            trusted: addresses and networks, comma-separated; `*` for all peers, empty for none.
            public_url: where browsers open the app, if it is known.
        """
        public = urlsplit(public_url)
        self._secure_host = public.netloc.lower().encode() if public.scheme == "https" else None
        self._app = app
        self._applied = ProxyHeadersMiddleware(self._pass_on, trusted)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the headers that count."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        peer = scope["client"][0] if scope.get("client") else None
        is_trusted = peer in self._applied.trusted_hosts
        scope["headers"] = [
            (name, value) for name, value in scope["headers"] if _counts(name.lower(), is_trusted)
        ]
        if is_trusted:
            await self._applied(scope, receive, send)  # type: ignore[arg-type]
        else:
            await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._secure_host and dict(scope["headers"]).get(b"host", b"").lower() == self._secure_host:
            scope["scheme"] = "wss" if scope["type"] == "websocket" else "https"
        await self._app(scope, receive, send)


def _counts(name: bytes, is_trusted: bool) -> bool:
    is_about_origin = name.startswith(_PREFIX) or name in _OTHERS
    return name not in _NEVER and (is_trusted or not is_about_origin)
