"""The page of the login, and the pages that look like it: no access, and the logout of the provider."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from smart_support.api.dependencies import services
from smart_support.api.html_page import render
from smart_support.api.return_path import START, return_path

BEGIN = "/login/sso"
_TEMPLATE = "login.html"


def login_page(
    request: Request, next_path: str | None = None, problem: str = "", name: str = "", status: int = 200
) -> Response:
    """The page with the ways to log in. The field that is to be filled in next has the focus.

    Args:
        next_path: where the login leads on to; see `return_path`.
        problem: shown above the ways to log in.
        name: as it was typed before.
    """
    known = services(request)
    has_provider = known.single_sign_on is not None
    has_form = known.accounts.has_passwords or not has_provider
    root, path = known.settings.root_path, return_path(next_path)
    provider = None
    if known.single_sign_on is not None:
        problem = problem or known.single_sign_on.provider.problem
        provider = _address(root, {} if path == START else {"next": path})
    form = {"next": path if path != START else "", "name": name} if has_form else None
    return _page(request, "Log in", problem=problem, status=status, provider=provider, form=form)


def no_access_page(request: Request, problem: str, name: str, groups: Sequence[str]) -> Response:
    """The page for somebody whom the identity provider knows, and who has no role here."""
    root = services(request).settings.root_path
    shown = ", ".join(groups[:20]) + (" and more" if len(groups) > 20 else "")
    address = _address(root, {"prompt": "select_account"})
    no_access = {"name": name, "groups": shown, "address": address}
    return _page(request, "No access", problem=problem, status=403, no_access=no_access)


def leave_page(request: Request, address: str) -> Response:
    """A page that leads a browser on to the identity provider's logout.

    The console's log out button is a form, and `form-action 'self'` keeps a form from being redirected to
    another site.
    """
    return _page(request, "Logging out", leads_to=address)


def _address(root: str, query: dict[str, str]) -> str:
    return f"{root}{BEGIN}" + (f"?{urlencode(query)}" if query else "")


def _page(request: Request, title: str, *, status: int = 200, **values: Any) -> Response:
    page = render(_TEMPLATE, root=services(request).settings.root_path, title=title, **values)
    return HTMLResponse(page, status, headers={"Cache-Control": "no-store"})
