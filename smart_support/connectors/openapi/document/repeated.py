"""Keys that stand twice in one object of JSON text: one reader takes the first, another the last of them."""

import re
from dataclasses import dataclass

import orjson

from smart_support.connectors.openapi.document.nodes import pointer

__all__ = ["Repeated", "may_repeat", "repeated"]

_TOKENS = re.compile(rb'("(?:[^"\\]|\\.)*")\s*(:)?|[\[\]{},]')


@dataclass(frozen=True, slots=True)
class Repeated:
    """A key, the JSON Pointer of the object that has it twice, and where in the text it stands again."""

    key: str
    within: str
    start: int


def may_repeat(content: bytes, written: bytes) -> bool:
    """Whether a text can hold a key twice; quick, so that whatever is read may be asked.

    What is dropped takes its colon along. An escaped one only adds to what was there before.

    Args:
        written: what was read of `content`, written as JSON again.
    """
    colons = content.count(b":") + content.count(rb"\u003a") + content.count(rb"\u003A")
    return colons != written.count(b":")


def repeated(content: bytes) -> Repeated | None:
    """The first key of a JSON text that stands twice in one object."""
    steps: list[str | int] = []
    seen: list[set[str]] = []
    for found in _TOKENS.finditer(content):
        mark = found[0]
        if mark in (b"{", b"["):
            steps.append("" if mark == b"{" else 0)
            seen.append(set())
        elif mark in (b"}", b"]"):
            steps.pop()
            seen.pop()
        elif mark == b"," and isinstance(place := steps[-1], int):
            steps[-1] = place + 1
        elif found[2]:
            key: str = orjson.loads(found[1])
            if key in seen[-1]:
                return Repeated(key, pointer("", *steps[:-1]), found.start())
            seen[-1].add(key)
            steps[-1] = key
    return None
