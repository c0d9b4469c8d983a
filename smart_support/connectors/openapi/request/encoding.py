"""Single values as text, JSON, percent-encoded text or bytes. Put together in styles.py and body.py."""

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
    "Unwritable",
    "as_bytes",
    "as_json",
    "as_text",
    "essence",
    "is_json",
    "naming",
    "percent",
]


FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # of a header or a cookie: RFC 9110, 5.6.2


class Unwritable(ValueError):
    """A value has no form at its place in a request. Inside `naming` it becomes an `InvalidArguments`."""


@contextmanager
def naming(argument: str) -> Iterator[None]:
    """Tell of a value that can't be written by the name its caller knows.

    Raises:
        InvalidArguments: the value can't be written.
    """
    try:
        yield
    except Unwritable as error:
        raise InvalidArguments(f"{argument}: {error}.") from None
    except RecursionError:
        raise InvalidArguments(f"{argument}: it is nested too deeply; send less of it.") from None


def as_text(value: Any) -> str:
    """A text as it is, numbers as digits without an exponent, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        # Not every server that reads an integer or a decimal reads 1e+22 or 3.0 as one.
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return as_json(value)


def as_json(value: Any, *, ascii_only: bool = False) -> str:
    """The JSON text of a value (RFC 8259), integers of any size included.

    Raises:
        Unwritable: it holds what JSON can't carry.
    """
    try:
        # Not orjson: that refuses integers over 64 bits and silently makes a null of what is not finite.
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except UnicodeEncodeError:
        raise Unwritable("it holds half of a surrogate pair, which is no character") from None
    except ValueError:
        raise Unwritable("it holds a number that is not finite or has thousands of digits") from None
    return json.dumps(value, separators=(",", ":")) if ascii_only else text


def percent(text: str, keep: str = "") -> str:
    """Percent-encode everything but the unreserved characters (RFC 3986, 2.3) and those of `keep`.

    Raises:
        Unwritable: the text is not Unicode.
    """
    try:
        return quote(text, safe=keep)
    except UnicodeEncodeError:
        raise Unwritable("it holds half of a surrogate pair, which is no character") from None


def as_bytes(value: Any) -> bytes:
    """The bytes that a base64 text stands for (RFC 4648, 4).

    Raises:
        Unwritable: it is not base64.
    """
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise Unwritable(
            "it is not base64; encode the file's bytes as base64 (RFC 4648), padding included"
        ) from None


def essence(media_type: str) -> str:
    """A media type without its parameters, in lower case: `application/json`."""
    return media_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Whether a document of this type is written as JSON (`+json`: RFC 6839, 3.1)."""
    kind = essence(media_type)
    return kind in {"application/json", "text/json", "application/*", "*/*"} or kind.endswith("+json")
