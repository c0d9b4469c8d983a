"""Decides which regular expressions of a description can validate arguments: valid in Python and safe from
exponential backtracking."""

import re

__all__ = ["fault"]

_MAX_LENGTH = 500
_DELIMITED = re.compile(r"/\^.*\$/[a-z]*", re.DOTALL)
# One token of a pattern: an escape, a class, the start or end of a group, a quantifier, or a character.
_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?[:=!]|\?<[=!]|\?P?<\w+>)?|\)|[*+]|\{\d+\}|\{\d*,\d*\}|.",
    re.DOTALL,
)
_REPETITION = re.compile(r"[*+]|\{\d*,\d*\}")
_COUNT = re.compile(r"\{\d+\}")


def fault(pattern: object) -> str:
    """Why the pattern can't be used, or an empty string."""
    if not isinstance(pattern, str):
        return "is not a string"
    if len(pattern) > _MAX_LENGTH:
        return f"is longer than {_MAX_LENGTH} characters"
    if _DELIMITED.fullmatch(pattern):
        return "is enclosed in slashes, which would be part of the match"
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError, ValueError):
        return "is not a valid regular expression in Python"
    return "could take exponential time" if _is_exponential(pattern) else ""


def _is_exponential(pattern: str) -> bool:
    """Whether a repeated group contains a quantifier or an alternative.

    A text that almost matches may then be tried in exponentially many ways. Some safe patterns are rejected
    too; the API validates its arguments itself.
    """
    ambiguous = [False]
    closed = False
    for item in _TOKEN.findall(pattern):
        if item.startswith("("):
            ambiguous.append(False)
        elif item == ")" and len(ambiguous) > 1:
            closed = ambiguous.pop()
            ambiguous[-1] |= closed
            continue
        elif closed and (_REPETITION.fullmatch(item) or _COUNT.fullmatch(item)):
            return True
        elif _REPETITION.fullmatch(item) or item == "|":
            ambiguous[-1] = True
        closed = False
    return False
