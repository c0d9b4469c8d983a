"""The page of the login, and the pages that look like it: no access, and the logout of the provider."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from smart_support.api.dependencies import services
from smart_support.api.return_path import START, return_path

BEGIN = "/login/sso"
_PAGE = Path(__file__).with_name("login.html").read_text(encoding="utf-8")
_SINGLE_SIGN_ON = (
    '<a class="ss-button ss-button--accent" href="{address}"{focus}>Log in with single sign-on</a>'
)
_FORM = """
<form method="post" action="{root}/login">
<input type="hidden" name="next" value="{next}">
<label>Name<input name="name" value="{name}" autocomplete="username" autocapitalize="none" spellcheck="false"
  required{focus_name}></label>
<label>Password<input name="password" type="password" autocomplete="current-password"
  required{focus_password}></label>
<button class="ss-button{accent}">Log in</button>
</form>
"""


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
    ways = []
    if known.single_sign_on is not None:
        problem = problem or known.single_sign_on.provider.problem
        query = {} if path == START else {"next": path}
        ways.append(
            _SINGLE_SIGN_ON.format(
                address=escape(_address(root, query)), focus="" if has_form else " autofocus"
            )
        )
    if has_form:
        ways.append(
            _FORM.format(
                root=root,
                next=escape(path) if path != START else "",
                name=escape(name),
                focus_name="" if name else " autofocus",
                focus_password=" autofocus" if name else "",
                accent="" if has_provider else " ss-button--accent",
            )
        )
    between = '<p class="ss-or">or</p>'
    return _page(request, "Log in", between.join(ways), problem=problem, status=status)


def no_access_page(request: Request, problem: str, name: str, groups: Sequence[str]) -> Response:
    """The page for somebody whom the identity provider knows, and who has no role here."""
    root = services(request).settings.root_path
    shown = ", ".join(groups[:20]) + (" and more" if len(groups) > 20 else "")
    has = f"Your groups: {escape(shown)}." if groups else "The identity provider sent no groups."
    content = f"""
<p>Logged in as <b>{escape(name)}</b>. {has}</p>
<p>Ask your administrator for access, then log in again.</p>
<a class="ss-button" href="{escape(_address(root, {"prompt": "select_account"}))}">Use another account</a>
"""
    return _page(request, "No access", content, problem=problem, status=403)


def leave_page(request: Request, address: str) -> Response:
    """A page that leads a browser on to the identity provider's logout.

    The console's log out button is a form, and `form-action 'self'` keeps a form from being redirected to
    another site.
    """
    content = (
        "<p>You are logged out of Smart Support.</p>"
        f'<a class="ss-button" href="{escape(address)}">Continue</a>'
    )
    return _page(
        request,
        "Logging out",
        content,
        head=f'<meta http-equiv="refresh" content="0; url={escape(address)}">',
    )


def _address(root: str, query: dict[str, str]) -> str:
    return f"{root}{BEGIN}" + (f"?{urlencode(query)}" if query else "")


def _page(
    request: Request, title: str, content: str, *, problem: str = "", head: str = "", status: int = 200
) -> Response:
    parts = {
        "root": services(request).settings.root_path,
        "title": title,
        "head": head,
        "problem": f'<p class="ss-error" role="alert">{escape(problem)}</p>' if problem else "",
        "content": content,
    }
    page = re.sub("<!--([a-z-]+)-->", lambda part: parts[part[1]], _PAGE)
    return HTMLResponse(page, status, headers={"Cache-Control": "no-store"})
