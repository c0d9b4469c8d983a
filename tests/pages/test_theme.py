"""The page head links to one stylesheet, which has all of them."""

import re

from pages import theme


def test_all_stylesheets_are_one_and_find_their_pictures() -> None:
    whole = theme.stylesheet()
    assert theme.head("/support").count('rel="stylesheet"') == 1
    assert f'href="/support{theme.STATIC_PATH}/{theme.STYLESHEET}"' in theme.head("/support")
    for file in theme.STATIC.rglob("*.css"):
        assert file.read_text(encoding="utf-8").splitlines()[0] in whole
    pictures = re.findall(r'url\("([^"]+)"\)', whole)
    assert pictures
    assert all((theme.STATIC / picture).is_file() for picture in pictures)
