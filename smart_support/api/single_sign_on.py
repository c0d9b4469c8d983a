"""`/login/sso`, `/login/callback` and `/login/back-channel-logout`: logins with the identity provider."""

import secrets
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from smart_support.api import cookies
from smart_support.api.dependencies import services
from smart_support.api.login_page import BEGIN, login_page, no_access_page
from smart_support.api.return_path import return_path
from smart_support.errors import NotFound
from smart_support.identity.single_sign_on.errors import NoRole, SignInRefused
from smart_support.identity.single_sign_on.service import ATTEMPT_SECONDS, CALLBACK, SingleSignOn
from smart_support.observability.log import get_logger
from smart_support.services import Services

log = get_logger()
router = APIRouter(include_in_schema=False)
_PROMPTS = frozenset({"login", "select_account"})
_NOT_STORED = {"Cache-Control": "no-store"}


def single_sign_on(services: Services = Depends(services)) -> SingleSignOn:
    """The logins with the provider; raises `NotFound` where none is configured."""
    if services.single_sign_on is None:
        raise NotFound("No identity provider is configured.")
    return services.single_sign_on


@router.get(BEGIN)
async def begin(
    request: Request,
    next: str = "",
    prompt: str = "",
    moved: bool = False,
    single_sign_on: SingleSignOn = Depends(single_sign_on),
) -> Response:
    """Send the browser to the provider.

    Args:
        moved: whether the browser was sent to the public address before.
    """
    path, base = return_path(next), services(request).settings.link_base
    prompt = prompt if prompt in _PROMPTS else ""
    if not moved and request.headers.get("host", "").lower() != urlsplit(base).netloc.lower():
        # The provider leads back to the public address, where a cookie of another host is not sent.
        query = urlencode({"next": path, "prompt": prompt, "moved": "1"})
        return RedirectResponse(f"{base}{BEGIN}?{query}", 303, headers=_NOT_STORED)
    # The same one for all tabs of the browser.
    browser = cookies.read(request.scope, cookies.SIGN_IN) or secrets.token_urlsafe(32)
    try:
        to = await single_sign_on.begin(browser, path, _client(request), prompt=prompt)
    except SignInRefused as error:
        return _refused(request, error, path)
    answer = RedirectResponse(to, 303, headers=_NOT_STORED)
    cookies.write(answer, request.scope, cookies.SIGN_IN, browser, ATTEMPT_SECONDS)
    return answer


@router.get(CALLBACK)
async def callback(request: Request, single_sign_on: SingleSignOn = Depends(single_sign_on)) -> Response:
    """Log in the browser that the provider sent back."""
    known, browser = services(request), cookies.read(request.scope, cookies.SIGN_IN)
    try:
        current = cookies.read(request.scope, cookies.LOGIN)
        done = await single_sign_on.finish(request.query_params, browser, _client(request), current)
    except NoRole as error:
        log.warning("single_sign_on_refused", reason=error.detail)
        return no_access_page(request, error.message, error.name, error.groups)
    except SignInRefused as error:
        return _refused(request, error, "")
    for token in set(cookies.read_all(request.scope, cookies.LOGIN)) - {done.token}:
        await known.logins.end(token)
    to = f"{known.settings.root_path}{done.next_path}"
    answer = RedirectResponse(to, 303, headers=_NOT_STORED)
    cookies.write(answer, request.scope, cookies.LOGIN, done.token, int(known.settings.oidc_login_seconds))
    return answer


@router.post("/login/back-channel-logout")
async def end_by_provider(
    logout_token: str = Form(max_length=100_000), single_sign_on: SingleSignOn = Depends(single_sign_on)
) -> Response:
    """End the logins that the provider says are over (OpenID Connect Back-Channel Logout 1.0)."""
    try:
        await single_sign_on.end_by_provider(logout_token)
    except SignInRefused as error:
        log.warning("single_sign_on_logout_refused", reason=error.detail or error.message)
        return JSONResponse({"error": "invalid_request"}, 400, headers=_NOT_STORED)
    return Response(headers=_NOT_STORED)


def _refused(request: Request, error: SignInRefused, next_path: str) -> Response:
    log.warning("single_sign_on_refused", reason=error.detail or error.message)
    return login_page(request, next_path, error.message, status=error.status)


def _client(request: Request) -> str:
    return request.client.host if request.client else ""
