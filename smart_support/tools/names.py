"""The rule for the names of tools and agents, and how a longer name is shortened.

OpenAI, Anthropic, Mistral and Gemini accept up to 64 of `a-zA-Z0-9_-`; Gemini requires a letter first. Upper
case and dashes are left out, so that two names never differ only in them.
"""

import re
from hashlib import sha256

__all__ = ["MAX_LENGTH", "PATTERN", "RULE", "can_be_sent", "is_valid", "shortened", "suffixed"]

MAX_LENGTH = 64
PATTERN = rf"^[a-z][a-z0-9_]{{0,{MAX_LENGTH - 1}}}$"
RULE = f"use 1 to {MAX_LENGTH} of a-z, 0-9 and _, starting with a letter"

_VALID = re.compile(PATTERN.strip("^$"))
_SENDABLE = re.compile(rf"[a-zA-Z][a-zA-Z0-9_-]{{0,{MAX_LENGTH - 1}}}")
_DIGITS = 6


def is_valid(name: str) -> bool:
    """Whether a tool or an agent may have this name."""
    return bool(_VALID.fullmatch(name))


def can_be_sent(name: str) -> bool:
    """Whether providers accept the name. A tool written in Python may have one with upper case and dashes."""
    return bool(_SENDABLE.fullmatch(name))


def shortened(name: str, key: str) -> str:
    """The name, cut if it is too long. A cut name ends in a hash of `key`, so that two differ."""
    return name if len(name) <= MAX_LENGTH else suffixed(name, key, _DIGITS)


def suffixed(name: str, key: str, digits: int) -> str:
    """The name, cut to make room, with a suffix of so many hexadecimal digits that is derived from `key`."""
    digest = sha256(key.encode(errors="backslashreplace")).hexdigest()[:digits]
    return f"{name[: MAX_LENGTH - digits - 1].rstrip('_')}_{digest}"
