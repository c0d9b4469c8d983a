"""Text and JSON values that every store and every wire format takes.

Text from a model, a tool or a foreign graph can hold characters that UTF-8 can't encode (a lone surrogate,
RFC 3629 section 3) or that PostgreSQL refuses (NUL). It is cleaned where it enters the system.
"""

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

REPLACEMENT = "\ufffd"
# Replaces NUL, which PostgreSQL can't store in text.
NUL_SYMBOL = "\u2400"
MAX_DEPTH = 100
MAX_NODES = 100_000
LEFT_OUT = "…"
# The range of `orjson`.
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1


def clean_text(text: str) -> str:
    """The text as valid Unicode without NUL.

    A high and a low surrogate in a row become the one character they stand for. A surrogate on its own
    becomes U+FFFD, a NUL becomes U+2400. Every other text is returned as it is.
    """
    if text.isascii():
        return text.replace("\x00", NUL_SYMBOL) if "\x00" in text else str(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\x00", NUL_SYMBOL)


def folded(text: str) -> str:
    """The text as a search compares it: without case, accents, and forms of the same character.

    Compatibility forms (NFKC) and case folding are those of Unicode sections 3.11 and 3.13.
    """
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", "".join(one for one in apart if not unicodedata.combining(one)))


def clean_json(value: Any) -> Any:
    """The value as plain JSON data that every store takes: dicts with text keys, lists, text, numbers.

    Text is cleaned as in `clean_text`. NaN and infinities, which RFC 8259 section 6 does not permit, integers
    beyond 64 bits, and whatever JSON has no type for become text. Beyond `MAX_DEPTH` levels or `MAX_NODES`
    values the rest is left out and replaced by `…`.
    """
    return _Cleaner().clean(value, 0)


class TextStream:
    """Cleans the pieces of one text as they arrive.

    A character that was cut in two between pieces comes whole with the second piece.
    """

    def __init__(self) -> None:
        self._held = ""

    def add(self, piece: str) -> str:
        """The next piece, cleaned. It is empty if the whole piece waits for the next one."""
        if not self._held and piece.isascii():
            return clean_text(piece)
        text = self._held + piece
        self._held = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        return clean_text(text[: len(text) - len(self._held)])

    def end(self) -> str:
        """The rest, after the last piece."""
        held, self._held = self._held, ""
        return clean_text(held)


class _Cleaner:
    def __init__(self) -> None:
        self._nodes = 0

    def clean(self, value: Any, depth: int) -> Any:
        self._nodes += 1
        kind = type(value)
        # The usual kinds first: nearly all values are one of them, and all events go through here.
        if kind is str:
            return clean_text(value)
        if kind in (dict, list) and depth < MAX_DEPTH and self._nodes < MAX_NODES:
            return self._mapping(value, depth) if kind is dict else self._items(value, depth)
        return self._clean_any(value, depth)

    def _clean_any(self, value: Any, depth: int) -> Any:
        if isinstance(value, Enum):
            value = value.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return clean_text(value)
        if isinstance(value, int):
            return int(value) if _MIN_INTEGER <= value <= _MAX_INTEGER else _integer_text(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(value)
        if depth >= MAX_DEPTH or self._nodes >= MAX_NODES:
            return LEFT_OUT
        if is_dataclass(value) and not isinstance(value, type):
            value = asdict(value)
        elif isinstance(value, BaseModel):
            value = _model_data(value)
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._items(value, depth)
        if isinstance(value, datetime | date | time):
            return value.isoformat()
        if isinstance(value, bytes):
            return clean_text(value.decode(errors="replace"))
        return clean_text(str(value) if isinstance(value, UUID) else _description(value))

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        cleaned: dict[str, Any] = {}
        for name, item in value.items():
            if self._nodes >= MAX_NODES:
                cleaned[LEFT_OUT] = LEFT_OUT
                break
            cleaned[_key(name)] = self.clean(item, depth + 1)
        return cleaned

    def _items(self, value: Any, depth: int) -> list[Any]:
        cleaned = []
        for item in value:
            if self._nodes >= MAX_NODES:
                cleaned.append(LEFT_OUT)
                break
            cleaned.append(self.clean(item, depth + 1))
        return cleaned


def _model_data(value: BaseModel) -> Any:
    try:
        return value.model_dump(mode="json")
    except (PydanticSerializationError, ValueError):
        return _description(value)


def _key(name: Any) -> str:
    if isinstance(name, str):
        return clean_text(name)
    if name is None or isinstance(name, bool):
        # As `json` writes such a key.
        return {None: "null", True: "true", False: "false"}[name]
    return clean_text(_integer_text(name) if isinstance(name, int) else _description(name))


def _integer_text(value: int) -> str:
    try:
        return str(int(value))
    except ValueError:
        # Python refuses to write more than some thousand digits, because that takes quadratic time.
        return f"an integer of {value.bit_length():,} bits"


def _description(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:
        return f"{type(value).__name__} that can't be shown: {type(error).__name__}"
