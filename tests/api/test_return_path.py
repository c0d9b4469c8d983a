"""A login leads on to a page of the app, and never to another site."""

import pytest

from smart_support.api.return_path import MAX_CHARS, login_path, return_path


@pytest.mark.parametrize("path", ["/", "/?thread=t-1", "/decide/a1?token=x.y-z_0", "/decide/a1?to=//x#top"])
def test_a_page_of_the_app_is_kept(path: str) -> None:
    assert return_path(path) == path


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "decide/a1",
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example/",
        "/\n/evil.example/",
        " //evil.example",
        "/%0a\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "/decidé",
        "/logout",
        "/login?next=/login",
        "/api/v1/approvals",
        "/" + "a" * MAX_CHARS,
    ],
)
def test_anything_else_leads_to_the_start(text: str | None) -> None:
    assert return_path(text) == "/"


def test_the_login_page_is_told_where_to_go_on() -> None:
    assert login_path("/decide/a1?token=x&y=z") == "/login?next=%2Fdecide%2Fa1%3Ftoken%3Dx%26y%3Dz"
    assert login_path("//evil.example", "/support") == "/support/login"
