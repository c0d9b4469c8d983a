"""Which of a description's regular expressions may be used to check arguments: those that Python reads as
they are meant and that can't be made to take for ever."""

import re

__all__ = ["fault"]

_MAX_LENGTH = 500
_LITERAL = re.compile(r"/\^.*\$/[a-z]*", re.DOTALL)
# One item of a pattern: an escape, a class, a group's beginning or end, a repetition, anything else.
_ITEM = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?[:=!]|\?<[=!]|\?P?<\w+>)?|\)|[*+]|\{\d+\}|\{\d*,\d*\}|.",
    re.DOTALL,
)
_REPETITION = re.compile(r"[*+]|\{\d*,\d*\}")
_COUNT = re.compile(r"\{\d+\}")


def fault(pattern: object) -> str:
    """Why the pattern can't be used, or nothing where it can."""
    if not isinstance(pattern, str):
        return "is not text"
    if len(pattern) > _MAX_LENGTH:
        return f"is longer than {_MAX_LENGTH} characters"
    if _LITERAL.fullmatch(pattern):
        return "stands between slashes, which would have to be matched too"
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError, ValueError):
        return "is no regular expression that Python reads"
    return "could take for ever on some texts" if _explodes(pattern) else ""


def _explodes(pattern: str) -> bool:
    """Whether a group that is repeated holds a repetition or a choice: then a text that almost fits may be
    tried in exponentially many ways. Harmless patterns of that shape are given up with the others; the API
    checks its arguments itself."""
    ambiguous = [False]
    closed = False
    for item in _ITEM.findall(pattern):
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
