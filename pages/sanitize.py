"""Makes text from outside harmless where Gradio reads it as Markdown or HTML."""

import re
from html import escape

from smart_support.invisible import exact, prose, visible

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# Code between two runs of as many backticks.
_CODE = re.compile(r"((?<!`)(`+)(?!`).+?(?<!`)\2(?!`))", re.DOTALL)


class Html(str):
    """HTML of our own. `element` escapes every other string."""

    __slots__ = ()


def element(tag: str, *children: str, classes: str = "") -> Html:
    """An HTML element. A child that is not `Html` is escaped."""
    inner = "".join(child if isinstance(child, Html) else html(child) for child in children)
    return Html(f'<{tag} class="{escape(classes)}">{inner}</{tag}>' if classes else f"<{tag}>{inner}</{tag}>")


def words(text: str) -> str:
    """Escape what a person typed, so that Markdown shows it character by character."""
    lines = _PUNCTUATION.sub(r"\\\1", prose(text)).split("\n")
    return "\n".join(_indented(line) for line in lines)


def markdown(text: str) -> str:
    """A model's Markdown without HTML and images, which could load something or show a form."""
    parts = _CODE.split(prose(text))
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
    return Html(f'<pre class="ss-pre">{escape(exact(text))}</pre>')


def _indented(line: str) -> str:
    """Keep leading spaces, which Markdown would read as code."""
    bare = line.lstrip(" \t")
    return "\u00a0" * (len(line) - len(bare)) + bare
