"""Text from outside made harmless where Gradio would read Markdown or HTML. Nothing is laid out here."""

import re
import unicodedata
from html import escape

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# Code between runs of as many backticks; the second group is only there to be matched.
_CODE = re.compile(r"((?<!`)(`+)(?!`).+?(?<!`)\2(?!`))", re.DOTALL)
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
    parts = _CODE.split(visible(text))
    # In code an entity would be shown as it is written; a word joiner breaks a tag there, and can't be seen.
    # Both are safe in either place, so that it does not matter where Markdown itself would see the code.
    parts[0::3] = [part.replace("<", "&lt;").replace("![", "!&#91;") for part in parts[0::3]]
    parts[1::3] = [part.replace("<", "<\u2060").replace("![", "!\u2060[") for part in parts[1::3]]
    return "".join(part for place, part in enumerate(parts) if place % 3 < 2)


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
