"""Refuses requests that a page of another site makes a browser send.

Browsers send `Origin` (RFC 6454) with writes and sockets, and most send `Sec-Fetch-Site`. Programs send
neither and pass. A request with a login's cookie but without both headers passes only if it is JSON, which a
page of another site can't send without a preflight. Without logins the app has no public name, so a public
name in `Host` means DNS rebinding and is refused.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smart_support.api import cookies
from smart_support.api.envelope import failure

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})
_FOREIGN = "This request comes from a page of another site. Open the console itself."
_FROM_NOWHERE = "A request with a login's cookie must have an Origin header, or be JSON."
_NAMED = "The app answers only at localhost and IP addresses. Open it as http://127.0.0.1 with its port."


class SameOriginMiddleware:
    """ASGI middleware that refuses a foreign `Origin` or a public `Host` with 403 (sockets unaccepted)."""

    def __init__(self, app: ASGIApp, *, has_public_name: bool = False) -> None:
        """`has_public_name`: the app may be reached by a public name, because everybody has to log in."""
        self._app = app
        self._has_public_name = has_public_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request for this host that comes from its own pages or from a program."""
        why = _refusal(scope, self._has_public_name) if scope["type"] in ("http", "websocket") else None
        if why is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await failure("forbidden", why, 403)(scope, receive, send)
        else:
            await receive()
            refused: Message = {"type": "websocket.close", "code": 1008, "reason": "forbidden"}
            await send(refused)


def _refusal(scope: Scope, has_public_name: bool) -> str | None:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = headers.get(b"host", "").lower(), headers.get(b"origin")
    if not has_public_name and not _is_local(urlsplit(f"//{host}").hostname or ""):
        return _NAMED
    # MCP asks for a check of every request: a GET opens a stream.
    if scope["type"] == "http" and scope["method"] in _HARMLESS and scope["path"] != "/mcp":
        return None
    site = headers.get(b"sec-fetch-site")
    if origin is not None and urlsplit(origin).netloc.lower() != host:
        return _FOREIGN
    if site is not None and site not in _OURS:
        return _FOREIGN
    json = headers.get(b"content-type", "").startswith("application/json")
    if scope["type"] == "http" and origin is site is None and cookies.read(scope, cookies.LOGIN) and not json:
        return _FROM_NOWHERE
    return None


def _is_local(name: str) -> bool:
    """Whether a host is an IP address, or a name that nobody can register in the public DNS."""
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
