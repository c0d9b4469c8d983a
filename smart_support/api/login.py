"""`/login` and `/logout` for browsers. Attempts are throttled; programs use an API key.

`gradio_client` logs in here with `auth=(name, password)`. It sends `username` and follows no redirect.
"""

from html import escape
from pathlib import Path

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from smart_support.api.dependencies import services
from smart_support.api.middleware.authentication import COOKIE, cookie
from smart_support.identity.logins import LOGIN_SECONDS
from smart_support.observability.log import get_logger
from smart_support.services import Services

log = get_logger()
router = APIRouter(include_in_schema=False)
_PAGE = Path(__file__).with_name("login.html").read_text(encoding="utf-8")


@router.get("/login")
async def page() -> Response:
    """The form."""
    return HTMLResponse(_PAGE)


@router.post("/login")
async def log_in(
    request: Request,
    name: str = Form("", max_length=200),
    username: str = Form("", max_length=200),
    password: str = Form(max_length=1000),
    services: Services = Depends(services),
) -> Response:
    """Log in with a name and a password; five attempts per minute and name, thirty per address."""
    name = name or username
    address = request.client.host if request.client else ""
    if not await services.login_throttle.allow(name, address):
        log.warning("login_throttled", name=name[:100])
        await services.failed_logins.add(name, address, throttled=True)
        return _refused("Too many attempts. Wait a minute.", 429)
    user = await services.accounts.with_password(name, password)
    if user is None:
        log.warning("login_refused", name=name[:100])
        await services.failed_logins.add(name, address)
        return _refused("Wrong name or password.", 401)
    # The address's attempts stay counted, so that one known password does not allow guessing others.
    await services.login_throttle.reset(name)
    services.failed_logins.forget(name)
    log.info("logged_in", name=user.name)
    await services.audit_trail.record("logged_in", by=user.name, via="login", address=address)
    await _end(request, services)
    return _let_in(request, await services.logins.create(user))


def _let_in(request: Request, token: str) -> Response:
    asks_for_page = "text/html" in request.headers.get("accept", "")
    answer = RedirectResponse("/", 303) if asks_for_page else JSONResponse({"success": True})
    answer.set_cookie(
        COOKIE,
        token,
        max_age=LOGIN_SECONDS,
        httponly=True,
        samesite="lax",
        secure=_reached_by_https(request),
    )
    return answer


def _reached_by_https(request: Request) -> bool:
    """Whether the browser uses TLS, with the app or a proxy. A false header only harms its sender."""
    return "https" in (request.url.scheme, request.headers.get("origin", "").partition(":")[0])


@router.post("/logout")
async def log_out(request: Request, services: Services = Depends(services)) -> Response:
    """End the login."""
    name = await _end(request, services)
    if name:
        await services.audit_trail.record("logged_out", by=name, via="login")
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE)
    return answer


async def _end(request: Request, services: Services) -> str | None:
    """End the login whose cookie the request has, and return the user's name."""
    token = cookie({name: value.decode("latin-1") for name, value in request.headers.raw})
    if not token:
        return None
    name: str | None = await services.logins.user_name(token)
    await services.logins.end(token)
    return name


def _refused(problem: str, status: int) -> Response:
    return HTMLResponse(_PAGE.replace("<!--problem-->", f'<p role="alert">{escape(problem)}</p>'), status)
