"""`/login` and `/logout` for browsers. Attempts are throttled; programs use an API key.

`gradio_client` logs in here with `auth=(name, password)`. It sends `username` and follows no redirect.
"""

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.background import BackgroundTask

from smart_support.api import cookies
from smart_support.api.dependencies import services
from smart_support.api.login_page import leave_page, login_page
from smart_support.api.return_path import MAX_CHARS, return_path
from smart_support.identity.known_logins import DEVICE_SECONDS
from smart_support.identity.logins import LOGIN_SECONDS
from smart_support.identity.throttle import Verdict
from smart_support.observability.log import get_logger
from smart_support.services import Services

log = get_logger()
router = APIRouter(include_in_schema=False)


@router.get("/login")
async def page(request: Request, next: str = "") -> Response:
    """The form. `next`: the page to go on to, see `return_path`."""
    answer = login_page(request, next)
    cookies.remove_unprefixed(answer, request.scope, cookies.LOGIN)
    return answer


@router.post("/login")
async def log_in(
    request: Request,
    name: str = Form("", max_length=200),
    username: str = Form("", max_length=200),
    password: str = Form(max_length=1000),
    next: str = Form("", max_length=MAX_CHARS),
    services: Services = Depends(services),
) -> Response:
    """Log in with a name and a password; see `LoginThrottle` for how often one may try."""
    name = name or username
    address = request.client.host if request.client else ""
    device = cookies.read(request.scope, cookies.DEVICE)
    verdict = await services.login_throttle.judge(name, address, device)
    user = None
    if verdict is not Verdict.REFUSE:
        user = await services.accounts.with_password(name, password)
    if user is None:
        is_throttled = verdict is not Verdict.CHECK
        log.warning("login_throttled" if is_throttled else "login_refused", name=name[:100])
        answer = (
            login_page(request, next, "Too many attempts. Wait a minute, then try again.", name, 429)
            if is_throttled
            else login_page(request, next, "Wrong name or password.", name, 401)
        )
        # After the answer: how long it takes would tell whether the account exists.
        answer.background = BackgroundTask(services.failed_logins.add, name, address, throttled=is_throttled)
        return answer
    await services.login_throttle.reset(name, address, device)
    services.failed_logins.forget(name)
    log.info("logged_in", name=user.name)
    await services.audit_trail.record("logged_in", by=user.name, via="login", address=address)
    await _end(request, services)
    answer = _let_in(request, await services.logins.create(user), next)
    known = await services.known_logins.remember(name, device, address)
    cookies.write(answer, request.scope, cookies.DEVICE, known, DEVICE_SECONDS)
    return answer


def _let_in(request: Request, token: str, next_path: str) -> Response:
    asks_for_page = "text/html" in request.headers.get("accept", "")
    to = f"{_root(request)}{return_path(next_path)}"
    answer = RedirectResponse(to, 303) if asks_for_page else JSONResponse({"success": True})
    cookies.write(answer, request.scope, cookies.LOGIN, token, LOGIN_SECONDS)
    return answer


@router.post("/logout")
async def log_out(request: Request, services: Services = Depends(services)) -> Response:
    """End the login, and that of the identity provider."""
    token = cookies.read(request.scope, cookies.LOGIN)
    at_provider = await services.logins.provider_login(token) if token else None
    name = await _end(request, services)
    if name:
        await services.audit_trail.record("logged_out", by=name, via="login")
    address = None
    if at_provider and services.single_sign_on:
        address = await services.single_sign_on.logout_address(at_provider)
    answer: Response = RedirectResponse(f"{_root(request)}/login", 303)
    if address and "text/html" in request.headers.get("accept", ""):
        answer = leave_page(request, address)
    cookies.forget(answer, request.scope, cookies.LOGIN)
    return answer


def _root(request: Request) -> str:
    root: str = request.app.state.services.settings.root_path
    return root


async def _end(request: Request, services: Services) -> str | None:
    """End the logins whose cookies the request has; return the user's name if one of them counts."""
    token = cookies.read(request.scope, cookies.LOGIN)
    name: str | None = await services.logins.user_name(token) if token else None
    for one in cookies.read_all(request.scope, cookies.LOGIN):
        await services.logins.end(one)
    return name
