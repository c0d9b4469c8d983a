"""Encodes values in path, query, headers and cookies (OpenAPI 3.1, "Style Values"; RFC 6570).

Where OpenAPI is undefined: nulls are left out (RFC 6570, 2.3), nested values become JSON, and deepObject
nests brackets, with indexes for arrays. Values that a server would parse differently are rejected.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from smart_support.connectors.openapi.document.operation import Parameter
from smart_support.connectors.openapi.request.encoding import (
    EncodingError,
    as_json,
    as_text,
    is_json,
    naming_argument,
    percent_encode,
)

__all__ = ["encode_header", "encode_pairs", "encode_path", "joined"]

Pair = tuple[str, str]

# All other styles use commas.
_DELIMITERS = {"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}
# The reserved characters (RFC 3986, 2.2) that a query may contain and that no server parses as a separator or
# a space: not # [ ] & + ;
_RESERVED = ":/?@!$'()*,="
_DOT_SEGMENT = re.compile(r"(?:^|[/\\])\.{1,2}(?:[/\\;]|$)")


def encode_path(parameter: Parameter, value: Any) -> str:
    """The parameter's percent-encoded text in the path.

    Raises:
        EncodingError: it is empty, or contains the segment `.` or `..`, which a server may remove (RFC 3986,
            5.2.4) and so use another path.
    """
    text = _path_text(parameter, value)
    if not text:
        raise EncodingError("a path parameter can't be empty")
    if _DOT_SEGMENT.search(unquote(text)):
        raise EncodingError("a path parameter can't be or contain the segment . or ..")
    return text


def encode_header(parameter: Parameter, value: Any) -> str | None:
    """The value of a header field (RFC 9110, 5.5), or None if there is nothing to send.

    Raises:
        EncodingError: it is not printable ASCII, or the server would split or trim it.
    """
    if value is None:
        return None
    if parameter.media_type:
        return _field_text(_document(parameter.media_type, value, ascii_only=True))
    if not isinstance(value, list | dict):
        return _field_text(as_text(value))
    delimiter = _DELIMITERS.get(parameter.style, ",")
    if parameter.explode and isinstance(value, dict) and any("=" in key for key in value):
        raise EncodingError("one of its names contains =, which ends a name in this style")
    members = _members(
        value, parameter.explode, lambda text: _field_text(_without_delimiter(text, delimiter))
    )
    return delimiter.join(members) if members else None


def encode_pairs(
    parameters: Iterable[Parameter], args: Mapping[str, Any], fixed: Iterable[str] = ()
) -> list[Pair]:
    """The percent-encoded names and values of a query, cookies or a form, in the parameters' order.

    Args:
        fixed: percent-encoded names that are already in use.

    Raises:
        InvalidArguments: a value can't be encoded, or an object's member has the name of another parameter.
    """
    present = [parameter for parameter in parameters if parameter.argument in args]
    owners = dict.fromkeys(fixed, "") | {percent_encode(each.name): each.argument for each in parameters}
    encoded: list[Pair] = []
    for parameter in present:
        with naming_argument(parameter.argument):
            for name, text in _pairs(parameter, args[parameter.argument]):
                if owners.setdefault(name, parameter.argument) != parameter.argument:
                    raise EncodingError(f"its member {unquote(name)} has the name of another parameter")
                encoded.append((name, text))
    return encoded


def joined(parameter: Parameter, value: list[Any] | dict[str, Any]) -> list[Pair]:
    """The names and values of an array or object as in a form, but without percent-encoding.

    Raises:
        EncodingError: a value contains the delimiter of its style.
    """
    delimiter = _DELIMITERS.get(parameter.style, ",")
    if not parameter.explode and parameter.style != "deepObject":
        members = value if isinstance(value, list) else [*value, *value.values()]
        for item in members:
            _without_delimiter(as_text(item), delimiter)
    return [(unquote(name), unquote(text)) for name, text in _pairs(parameter, value)]


def _path_text(parameter: Parameter, value: Any) -> str:
    if parameter.media_type:
        return percent_encode(_document(parameter.media_type, value))
    if parameter.style == "matrix":
        return "".join(f";{name}={text}" if text else f";{name}" for name, text in _matrix(parameter, value))
    prefix = "." if parameter.style == "label" else ""
    if not isinstance(value, list | dict):
        return prefix + percent_encode(as_text(value))
    delimiter = "." if prefix and parameter.explode else _DELIMITERS.get(parameter.style, ",")
    members = _members(value, parameter.explode, _escaped(delimiter))
    return prefix + percent_encode(delimiter, ",").join(members) if members else ""


def _matrix(parameter: Parameter, value: Any) -> list[Pair]:
    name = percent_encode(parameter.name)
    if not isinstance(value, list | dict):
        return [(name, percent_encode(as_text(value)))]
    if parameter.explode:
        return _exploded(name, value, percent_encode)
    members = _members(value, False, percent_encode)
    return [(name, ",".join(members))] if members else []


def _pairs(parameter: Parameter, value: Any) -> list[Pair]:
    if value is None:
        return []
    name = percent_encode(parameter.name)
    keep = _RESERVED if parameter.allow_reserved and parameter.where == "query" else ""
    if parameter.media_type:
        return [(name, percent_encode(_document(parameter.media_type, value), keep))]
    if parameter.style == "deepObject":
        return [
            (percent_encode(path), percent_encode(text, keep)) for path, text in _deep(parameter.name, value)
        ]
    if not isinstance(value, list | dict):
        return [(name, percent_encode(as_text(value), keep))]
    if parameter.explode:
        return _exploded(name, value, lambda text: percent_encode(text, keep))
    delimiter = _DELIMITERS.get(parameter.style, ",")
    members = _members(value, False, _escaped(delimiter, keep))
    return [(name, percent_encode(delimiter, ",").join(members))] if members else []


def _exploded(name: str, value: list[Any] | dict[str, Any], write: Callable[[str], str]) -> list[Pair]:
    if isinstance(value, dict):
        return [
            (percent_encode(key), write(as_text(item))) for key, item in value.items() if item is not None
        ]
    return [(name, write(as_text(item))) for item in value if item is not None]


def _deep(path: str, value: Any) -> Iterator[Pair]:
    if value is None:
        return
    if not isinstance(value, list | dict):
        yield path, as_text(value)
        return
    members = value.items() if isinstance(value, dict) else ((str(at), item) for at, item in enumerate(value))
    for key, item in members:
        if not key or "[" in key or "]" in key:
            raise EncodingError(
                "one of its names is empty or contains [ or ], which separate names in this style"
            )
        yield from _deep(f"{path}[{key}]", item)


def _members(value: list[Any] | dict[str, Any], explode: bool, write: Callable[[str], str]) -> list[str]:
    """The parts between delimiters: items, `name=value`, or alternating names and values."""
    if isinstance(value, list):
        return [write(as_text(item)) for item in value if item is not None]
    written = [(write(key), write(as_text(item))) for key, item in value.items() if item is not None]
    return ["=".join(pair) for pair in written] if explode else [part for pair in written for part in pair]


def _escaped(delimiter: str, keep: str = "") -> Callable[[str], str]:
    # A comma is literal as a delimiter and %2C in a value. Other delimiters are encoded the same in both.
    if delimiter == ",":
        return lambda text: percent_encode(text, keep.replace(",", ""))
    return lambda text: percent_encode(_without_delimiter(text, delimiter), keep)


def _without_delimiter(text: str, delimiter: str) -> str:
    if delimiter in text:
        raise EncodingError(f"one of its values contains {delimiter!r}, which separates values in this style")
    return text


def _field_text(text: str) -> str:
    if not all(" " <= character <= "~" for character in text):
        raise EncodingError("a header can only contain printable ASCII, without line breaks and accents")
    if text != text.strip(" "):
        raise EncodingError("a header value can't begin or end with a space")
    return text


def _document(media_type: str, value: Any, *, ascii_only: bool = False) -> str:
    return as_json(value, ascii_only=ascii_only) if is_json(media_type) else as_text(value)
