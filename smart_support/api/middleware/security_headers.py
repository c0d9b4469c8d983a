"""Adds security headers to every answer."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio's page has inline scripts and styles, and compiles templates.
_PAGE = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "frame-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
        "object-src 'none'",
        "base-uri 'self'",
    )
)
# A file that is opened by itself (an SVG, an export) may do nothing.
_FILE = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'"
_ON_ALL = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The address contains the conversation's id, which no other site may read.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ENCODED = [(name.lower().encode(), value.encode()) for name, value in _ON_ALL.items()]
_PRIVATE = (b"cache-control", b"no-store")
_PAGES = (b"text/html", b"text/javascript", b"application/javascript")


class SecurityHeadersMiddleware:
    """ASGI middleware that adds the headers, and removes the CORS headers that Gradio adds."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers when the answer begins."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_ours(message.get("headers", ()), scope["path"])
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _with_ours(given: list[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in given if not name.lower().startswith(b"access-control-")]
    names = {name.lower(): value for name, value in kept}
    policy = _PAGE if names.get(b"content-type", b"").startswith(_PAGES) else _FILE
    kept += [*_ENCODED, (b"content-security-policy", policy.encode())]
    if path.startswith("/api/") and b"cache-control" not in names:
        kept.append(_PRIVATE)
    return kept
