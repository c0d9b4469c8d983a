"""Keeps other sites' pages out: what a browser sends from elsewhere neither changes anything nor opens `/ws`.

Browsers send `Origin` (RFC 6454) with both, and most `Sec-Fetch-Site`; programs send neither and pass. Where
neither came but a login's cookie did, only what no page of another site can send without being asked about it
first (JSON) passes. A public name in `Host` means that somebody's domain was pointed at this machine (DNS
rebinding), and is refused altogether: without a login the app has no public name. Who the user is, is not
asked here.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smart_support.api.envelope import failure
from smart_support.api.middleware.authentication import cookie

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})
_FOREIGN = "This request comes from a page of another site; open the console itself."
_FROM_NOWHERE = "A request with a login's cookie has to say where it comes from; send Origin, or JSON."
_NAMED = "The app answers to localhost and to addresses only; open it as http://127.0.0.1 with its port."


class SameOrigin:
    """ASGI middleware that refuses a foreign `Origin` or a public `Host` with 403 (sockets unaccepted)."""

    def __init__(self, app: ASGIApp, *, named: bool = False) -> None:
        """`named`: the app may have a public name, because everybody has to log in."""
        self._app = app
        self._named = named

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is for this host, and comes from it or from no page at all."""
        why = _refusal(scope, self._named) if scope["type"] in ("http", "websocket") else None
        if why is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await failure("forbidden", why, 403)(scope, receive, send)
        else:
            await receive()
            refused: Message = {"type": "websocket.close", "code": 1008, "reason": "forbidden"}
            await send(refused)


def _refusal(scope: Scope, named: bool) -> str | None:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = headers.get(b"host", "").lower(), headers.get(b"origin")
    if not named and not _is_local(urlsplit(f"//{host}").hostname or ""):
        return _NAMED
    if scope["type"] == "http" and scope["method"] in _HARMLESS:
        return None
    site = headers.get(b"sec-fetch-site")
    if origin is not None and urlsplit(origin).netloc.lower() != host:
        return _FOREIGN
    if site is not None and site not in _OURS:
        return _FOREIGN
    json = headers.get(b"content-type", "").startswith("application/json")
    if scope["type"] == "http" and origin is site is None and cookie(headers) and not json:
        return _FROM_NOWHERE
    return None


def _is_local(name: str) -> bool:
    """Whether no stranger can own a host's name: an address, or a name that the public DNS can't have."""
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
