"""Encodes single values as text, JSON, percent-encoded text or bytes."""

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from smart_support.errors import InvalidArguments

__all__ = [
    "FIELD_NAME",
    "EncodingError",
    "as_bytes",
    "as_json",
    "as_text",
    "essence",
    "is_json",
    "naming_argument",
    "percent_encode",
]


FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # of a header or a cookie: RFC 9110, 5.6.2


class EncodingError(ValueError):
    """A value can't be encoded. `naming_argument` turns it into `InvalidArguments`."""


@contextmanager
def naming_argument(argument: str) -> Iterator[None]:
    """Add the argument's name to encoding errors.

    Raises:
        InvalidArguments: the value can't be encoded.
    """
    try:
        yield
    except EncodingError as error:
        raise InvalidArguments(f"{argument}: {error}.") from None
    except RecursionError:
        raise InvalidArguments(f"{argument}: it is nested too deeply.") from None


def as_text(value: Any) -> str:
    """Strings unchanged, numbers without an exponent, everything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        # Not every server parses 1e+22 or 3.0 as an integer.
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return as_json(value)


def as_json(value: Any, *, ascii_only: bool = False) -> str:
    """The value as JSON (RFC 8259), with integers of any size.

    Raises:
        EncodingError: JSON can't represent it.
    """
    try:
        # Not orjson: it rejects integers above 64 bits and encodes NaN and infinities as null.
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except UnicodeEncodeError:
        raise EncodingError("it contains a lone surrogate, which is not a character") from None
    except ValueError:
        raise EncodingError("it contains a number that is not finite or has thousands of digits") from None
    return json.dumps(value, separators=(",", ":")) if ascii_only else text


def percent_encode(text: str, keep: str = "") -> str:
    """Percent-encode everything except the unreserved characters (RFC 3986, 2.3) and those in `keep`.

    Raises:
        EncodingError: the text is not valid Unicode.
    """
    try:
        return quote(text, safe=keep)
    except UnicodeEncodeError:
        raise EncodingError("it contains a lone surrogate, which is not a character") from None


def as_bytes(value: Any) -> bytes:
    """Decodes base64 (RFC 4648, 4).

    Raises:
        EncodingError: it is not base64.
    """
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise EncodingError(
            "it is not base64; encode the file's bytes as base64 with padding (RFC 4648)"
        ) from None


def essence(media_type: str) -> str:
    """A media type without its parameters, in lower case: `application/json`."""
    return media_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Whether the media type is JSON (`+json`: RFC 6839, 3.1)."""
    kind = essence(media_type)
    return kind in {"application/json", "text/json", "application/*", "*/*"} or kind.endswith("+json")
