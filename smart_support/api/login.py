"""`/login` and `/logout`: a page for browsers, throttled. Programs use a key instead."""

from html import escape
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from smart_support.api.dependencies import services
from smart_support.api.guard import COOKIE, cookie
from smart_support.auth import LOGIN_SECONDS
from smart_support.log import get_logger

log = get_logger()
router = APIRouter(include_in_schema=False)
_TRIES = RateLimitItemPerMinute(5)
_tries = FixedWindowRateLimiter(MemoryStorage())
_PAGE = Path(__file__).with_name("login.html").read_text(encoding="utf-8")


@router.get("/login")
async def page() -> Response:
    """The form."""
    return HTMLResponse(_PAGE)


@router.post("/login")
async def log_in(
    request: Request,
    name: str = Form(max_length=200),
    password: str = Form(max_length=1000),
    services: Any = Depends(services),
) -> Response:
    """Take a name and a password; five tries a minute for a name, and for an address."""
    address = request.client.host if request.client else ""
    if not all([_tries.hit(_TRIES, "name", name), _tries.hit(_TRIES, "address", address)]):
        return _refused("Too many tries; wait a minute.", 429)
    user = await services.accounts.with_password(name, password)
    if user is None:
        log.warning("login_refused", name=name[:100])
        return _refused("This name and password do not belong together.", 401)
    _tries.clear(_TRIES, "name", name)
    _tries.clear(_TRIES, "address", address)
    log.info("logged_in", name=user.name)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        COOKIE,
        await services.logins.begin(user),
        max_age=LOGIN_SECONDS,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/logout")
async def log_out(request: Request, services: Any = Depends(services)) -> Response:
    """Forget the login."""
    token = cookie({name: value.decode("latin-1") for name, value in request.headers.raw})
    if token:
        await services.logins.end(token)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _refused(problem: str, status: int) -> Response:
    return HTMLResponse(_PAGE.replace("<!--problem-->", f'<p role="alert">{escape(problem)}</p>'), status)
