"""Where a browser goes after a login: a page of the app itself, never an address of another site."""

import re
from urllib.parse import urlencode, urlsplit

MAX_CHARS = 2000
START = "/"
# A backslash counts as a slash in a browser, and control characters are dropped before it parses an address.
_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")
# Not pages: after a login they would show JSON, or log out again.
_NO_PAGES = ("/api", "/gradio_api", "/login", "/logout", "/mcp", "/ws")


def return_path(text: str | None) -> str:
    """The path and query of one of the app's pages, without `ROOT_PATH`; the start page for anything else.

    Args:
        text: as a browser sent it, so that it may be anybody's.
    """
    if not text or len(text) > MAX_CHARS or not text.isascii() or not _PATH.fullmatch(text):
        return START
    try:
        parts = urlsplit(text)
    except ValueError:
        return START
    if parts.scheme or parts.netloc or parts.path.startswith("//"):
        return START
    is_page = not any(parts.path == path or parts.path.startswith(f"{path}/") for path in _NO_PAGES)
    return text if is_page else START


def login_path(next_path: str | None, root_path: str = "") -> str:
    """The path of the login page that leads on to a page of the app: `/login?next=%2Fdecide%2Fa1`."""
    path = return_path(next_path)
    query = "" if path == START else "?" + urlencode({"next": path})
    return f"{root_path}/login{query}"
