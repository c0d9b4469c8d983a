"""The cookies of a browser: of its login, of a login that it began, and of the device that logged in.

Over https their names have the prefix `__Host-`. A browser accepts such a cookie only from the host itself,
over https, for all paths; so neither a sibling host nor somebody in the network without TLS can set it.
"""

from fastapi.responses import Response
from starlette.requests import cookie_parser
from starlette.types import Scope

LOGIN = "smart_support_login"
DEVICE = "smart_support_device"
# Binds a login with the identity provider to the browser that began it.
SIGN_IN = "smart_support_sign_in"
_PREFIX = "__Host-"


def is_https(scope: Scope) -> bool:
    """Whether the browser uses TLS, with the app or a proxy.

    A trusted proxy sets the scheme. Behind another one the `Origin` that a browser sends with writes tells
    it; a false one only harms its sender.
    """
    headers = dict(scope["headers"])
    return scope["scheme"] in ("https", "wss") or headers.get(b"origin", b"").startswith(b"https:")


def read(scope: Scope, name: str) -> str | None:
    """The value of one of our cookies. One without the prefix does not count over https."""
    given = _all(scope)
    return given.get(_PREFIX + name) or (None if is_https(scope) else given.get(name)) or None


def read_all(scope: Scope, name: str) -> list[str]:
    """Every value of one of our cookies, also one that does not count."""
    given = _all(scope)
    return [given[one] for one in (_PREFIX + name, name) if given.get(one)]


def write(answer: Response, scope: Scope, name: str, value: str, seconds: int) -> None:
    """Set a cookie under the name that counts, and remove the one that does not."""
    secure = is_https(scope)
    answer.set_cookie(
        _PREFIX + name if secure else name,
        value,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="lax",
        secure=secure,
    )
    if secure:
        remove_unprefixed(answer, scope, name)


def forget(answer: Response, scope: Scope, name: str) -> None:
    """Remove a cookie, with and without the prefix."""
    if is_https(scope):
        answer.delete_cookie(_PREFIX + name, path="/", secure=True, httponly=True, samesite="lax")
    answer.delete_cookie(name, path="/")


def remove_unprefixed(answer: Response, scope: Scope, name: str) -> None:
    """Remove a cookie without the prefix that came over https, such as one of an older version."""
    if is_https(scope) and name in _all(scope):
        answer.delete_cookie(name, path="/")


def _all(scope: Scope) -> dict[str, str]:
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
    return cookie_parser("; ".join(lines))
