"""Text from outside: what can't be seen is shown, what Markdown or HTML would take is plain."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages import sanitize

HOSTILE = st.text(alphabet=st.sampled_from("<>!?[]()`~&;#/\\\"'=: \nabimgsrcx1") | st.characters())


def test_what_can_not_be_seen_is_shown() -> None:
    assert sanitize.visible("a\x00b\u202ec\u200bd\x7f") == "a␀b⟨U+202E⟩c⟨U+200B⟩d⟨U+007F⟩"


@pytest.mark.parametrize("code", [0x200D, 0xFE0F, 0xE0100, 0xE0061, 0x3164, 0x2800, 0xA0, 0xAD, 0x180E, 0x85])
def test_nothing_hides_in_an_id_or_an_amount(code: int) -> None:
    for show in (sanitize.visible, sanitize.exact, sanitize.html, sanitize.block):
        assert f"U+{code:04X}" in unescape(show(f"10{chr(code)}44"))
    assert f"U+{code:04X}" in sanitize.exact(f"❤{chr(code)}🔥")


def test_what_text_is_made_of_stays() -> None:
    text = "Zoë 👩\u200d🚀 ❤\ufe0f\u200d🔥 one\ttwo\nthree"
    assert sanitize.visible(text) == text
    assert sanitize.visible("a\r\nb") == "a\nb"


@given(HOSTILE)
def test_no_tag_and_no_picture_is_left_in_markdown(text: str) -> None:
    shown = sanitize.markdown(text)
    assert not re.search(r"<[A-Za-z/!?]", shown)
    assert "![" not in shown


@given(HOSTILE)
def test_html_is_one_line_of_text_and_says_the_same(text: str) -> None:
    shown = sanitize.html(text)
    assert not re.search(r"[<>\"'`*_\[\]\n]", shown)
    assert unescape(shown) == " ".join(sanitize.visible(text).split())


@given(HOSTILE)
def test_words_say_letter_for_letter_what_was_typed(text: str) -> None:
    shown = sanitize.words(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[<!\[`*_~]", re.sub(r"\\[!-/:-@\[-`{-~]", "", shown))
    unescaped = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", shown).replace("\u00a0", " ")
    assert unescaped == re.sub(
        r"(?m)^[ \t]+", lambda blanks: " " * len(blanks[0]), sanitize.prose(text)
    ).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2 < 3", "2 &lt; 3"),
        ("use `<b>` here", "use `<\u2060b>` here"),
        ("![a](http://x)", "!&#91;a](http://x)"),
        ("`open <img", "`open &lt;img"),
    ],
)
def test_markdown_keeps_what_is_harmless(text: str, shown: str) -> None:
    assert sanitize.markdown(text) == shown


def test_a_block_keeps_lines_and_escapes_all_else() -> None:
    assert sanitize.block("a\n<b>\x00") == '<pre class="ss-pre">a\n&lt;b&gt;␀</pre>'
