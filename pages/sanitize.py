"""Makes text from outside harmless where Gradio reads it as Markdown or HTML."""

import re
import unicodedata
from html import escape

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# Code between two runs of as many backticks.
_CODE = re.compile(r"((?<!`)(`+)(?!`).+?(?<!`)\2(?!`))", re.DOTALL)
_INVISIBLE = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co"}
# Joiners that emoji and some scripts need, and ordinary white space.
_HARMLESS = {"\n", "\t", "\u200c", "\u200d"}


class Html(str):
    """HTML of our own. `element` escapes every other string."""

    __slots__ = ()


def element(tag: str, *children: str, classes: str = "") -> Html:
    """An HTML element. A child that is not `Html` is escaped."""
    inner = "".join(child if isinstance(child, Html) else html(child) for child in children)
    return Html(f'<{tag} class="{escape(classes)}">{inner}</{tag}>' if classes else f"<{tag}>{inner}</{tag}>")


def visible(text: str) -> str:
    """Replace control and bidirectional characters by visible symbols: `␀`, `⟨U+202E⟩`."""
    return "".join(_symbol(character) for character in text.replace("\r\n", "\n"))


def words(text: str) -> str:
    """Escape what a person typed, so that Markdown shows it character by character."""
    lines = _PUNCTUATION.sub(r"\\\1", visible(text)).split("\n")
    return "\n".join(_indented(line) for line in lines)


def markdown(text: str) -> str:
    """A model's Markdown without HTML and images, which could load something or show a form."""
    parts = _CODE.split(visible(text))
    # In code an entity would show as it is written, so an invisible word joiner breaks tags there. Both ways
    # are safe in either place, so it does not matter if Markdown sees the bounds of code elsewhere.
    parts[0::3] = [part.replace("<", "&lt;").replace("![", "!&#91;") for part in parts[0::3]]
    parts[1::3] = [part.replace("<", "<\u2060").replace("![", "!\u2060[") for part in parts[1::3]]
    return "".join(part for place, part in enumerate(parts) if place % 3 < 2)


def html(text: str) -> Html:
    """Text on one line for use in HTML, without a character that Markdown would interpret."""
    joined = " ".join(visible(text).split())
    return Html(_PUNCTUATION.sub(lambda match: f"&#{ord(match[1])};", joined))


def block(text: str) -> Html:
    """Preformatted text in a box that scrolls."""
    return Html(f'<pre class="ss-pre">{escape(visible(text))}</pre>')


def _symbol(character: str) -> str:
    if character in _HARMLESS or unicodedata.category(character) not in _INVISIBLE:
        return character
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"


def _indented(line: str) -> str:
    """Keep leading spaces, which Markdown would read as code."""
    bare = line.lstrip(" \t")
    return "\u00a0" * (len(line) - len(bare)) + bare
