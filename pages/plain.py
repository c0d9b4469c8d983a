"""Text from outside made harmless where Gradio would read Markdown or HTML. Nothing is laid out here."""

import re
import unicodedata
from html import escape

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_UNSEEN = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co"}
# Joiners that emoji and some scripts need, and the two white spaces that text is made of.
_KEPT = {"\n", "\t", "\u200c", "\u200d"}


def visible(text: str) -> str:
    """Control and bidirectional characters as signs that can be seen: `␀`, `⟨U+202E⟩`."""
    return "".join(_seen(character) for character in text.replace("\r\n", "\n"))


def words(text: str) -> str:
    """What a person typed, shown letter for letter: no Markdown in it takes effect."""
    lines = _PUNCTUATION.sub(r"\\\1", visible(text)).split("\n")
    return "\n".join(_indented(line) for line in lines)


def markdown(text: str) -> str:
    """A model's Markdown without what could fetch or ask for something: no HTML and no picture is left."""
    return visible(text).replace("<", "&lt;").replace("![", "!&#91;")


def html(text: str) -> str:
    """Text inside HTML of our own, in one line, with no sign left that Markdown would take."""
    joined = " ".join(visible(text).split())
    return _PUNCTUATION.sub(lambda match: f"&#{ord(match[1])};", joined)


def block(text: str) -> str:
    """Text of many lines, letter for letter, in a box that scrolls."""
    return f'<pre class="ss-pre">{escape(visible(text))}</pre>'


def _seen(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _UNSEEN:
        return character
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"


def _indented(line: str) -> str:
    """Leading blanks kept, as Markdown would make code of them."""
    bare = line.lstrip(" \t")
    return "\u00a0" * (len(line) - len(bare)) + bare
