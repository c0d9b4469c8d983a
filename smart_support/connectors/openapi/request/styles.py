"""How values are written into path, query, headers and cookies: OpenAPI 3.1, "Style Values", and RFC 6570.

Where OpenAPI leaves the form open: a null is left out as RFC 6570 does (2.3), nested values are JSON text,
and deepObject goes on in brackets, with indexes for arrays. What would be read as something else is refused.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from smart_support.connectors.openapi.document.operation import Parameter
from smart_support.connectors.openapi.request.encoding import (
    Unwritable,
    as_json,
    as_text,
    is_json,
    naming,
    percent,
)

__all__ = ["in_header", "in_path", "pairs"]

Pair = tuple[str, str]

# All other styles separate by commas.
_DELIMITERS = {"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}
# Of the reserved characters (RFC 3986, 2.2) those that a query may hold and no server takes for a separator
# or a space: not # [ ] & + ;
_RESERVED = ":/?@!$'()*,="
_DOT_SEGMENT = re.compile(r"(?:^|[/\\])\.{1,2}(?:[/\\;]|$)")


def in_path(parameter: Parameter, value: Any) -> str:
    """What stands for the parameter in the path, percent-encoded whole.

    Raises:
        Unwritable: it would be empty or hold `.` or `..` between slashes: a server may normalise that away
            (RFC 3986, 5.2.4) and read another path.
    """
    text = _path_text(parameter, value)
    if not text:
        raise Unwritable("it is empty, and a path can't hold an empty value")
    if _DOT_SEGMENT.search(unquote(text)):
        raise Unwritable("a path can't hold the value . or .., alone or between slashes")
    return text


def in_header(parameter: Parameter, value: Any) -> str | None:
    """The value of a header field (RFC 9110, 5.5), or None where there is nothing to send.

    Raises:
        Unwritable: it holds what is not printable ASCII, or what its server would split or trim.
    """
    if value is None:
        return None
    if parameter.media_type:
        return _field_text(_document(parameter.media_type, value, ascii_only=True))
    if not isinstance(value, list | dict):
        return _field_text(as_text(value))
    delimiter = _DELIMITERS.get(parameter.style, ",")
    if parameter.explode and isinstance(value, dict) and any("=" in key for key in value):
        raise Unwritable("a name in it holds =, which ends a name here")
    members = _members(value, parameter.explode, lambda text: _field_text(_undivided(text, delimiter)))
    return delimiter.join(members) if members else None


def pairs(parameters: Iterable[Parameter], args: Mapping[str, Any], fixed: Iterable[str] = ()) -> list[Pair]:
    """The names and values of a query, of cookies or of a form, percent-encoded, in the parameters' order.

    Args:
        fixed: names, percent-encoded, that are taken already.

    Raises:
        InvalidArguments: a value can't be written, or an object's member would pass for another parameter.
    """
    wanted = [parameter for parameter in parameters if parameter.argument in args]
    owners = dict.fromkeys(fixed, "") | {percent(each.name): each.argument for each in parameters}
    found: list[Pair] = []
    for parameter in wanted:
        with naming(parameter.argument):
            for name, text in _pairs(parameter, args[parameter.argument]):
                if owners.setdefault(name, parameter.argument) != parameter.argument:
                    raise Unwritable(f"its member {unquote(name)} has the name of another parameter")
                found.append((name, text))
    return found


def _path_text(parameter: Parameter, value: Any) -> str:
    if parameter.media_type:
        return percent(_document(parameter.media_type, value))
    if parameter.style == "matrix":
        return "".join(f";{name}={text}" if text else f";{name}" for name, text in _matrix(parameter, value))
    prefix = "." if parameter.style == "label" else ""
    if not isinstance(value, list | dict):
        return prefix + percent(as_text(value))
    delimiter = "." if prefix and parameter.explode else _DELIMITERS.get(parameter.style, ",")
    members = _members(value, parameter.explode, _escaped(delimiter))
    return prefix + percent(delimiter, ",").join(members) if members else ""


def _matrix(parameter: Parameter, value: Any) -> list[Pair]:
    name = percent(parameter.name)
    if not isinstance(value, list | dict):
        return [(name, percent(as_text(value)))]
    if parameter.explode:
        return _exploded(name, value, percent)
    members = _members(value, False, percent)
    return [(name, ",".join(members))] if members else []


def _pairs(parameter: Parameter, value: Any) -> list[Pair]:
    if value is None:
        return []
    name = percent(parameter.name)
    keep = _RESERVED if parameter.allow_reserved and parameter.where == "query" else ""
    if parameter.media_type:
        return [(name, percent(_document(parameter.media_type, value), keep))]
    if parameter.style == "deepObject":
        return [(percent(path), percent(text, keep)) for path, text in _deep(parameter.name, value)]
    if not isinstance(value, list | dict):
        return [(name, percent(as_text(value), keep))]
    if parameter.explode:
        return _exploded(name, value, lambda text: percent(text, keep))
    delimiter = _DELIMITERS.get(parameter.style, ",")
    members = _members(value, False, _escaped(delimiter, keep))
    return [(name, percent(delimiter, ",").join(members))] if members else []


def _exploded(name: str, value: list[Any] | dict[str, Any], write: Callable[[str], str]) -> list[Pair]:
    if isinstance(value, dict):
        return [(percent(key), write(as_text(item))) for key, item in value.items() if item is not None]
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
            raise Unwritable("a name in it is empty or holds [ or ], which part the names here")
        yield from _deep(f"{path}[{key}]", item)


def _members(value: list[Any] | dict[str, Any], explode: bool, write: Callable[[str], str]) -> list[str]:
    """The parts that stand between delimiters: items, `name=value`, or names and values in turn."""
    if isinstance(value, list):
        return [write(as_text(item)) for item in value if item is not None]
    written = [(write(key), write(as_text(item))) for key, item in value.items() if item is not None]
    return ["=".join(pair) for pair in written] if explode else [part for pair in written for part in pair]


def _escaped(delimiter: str, keep: str = "") -> Callable[[str], str]:
    # A comma as a separator stands bare and in a value as %2C. The others look the same in both places.
    if delimiter == ",":
        return lambda text: percent(text, keep.replace(",", ""))
    return lambda text: percent(_undivided(text, delimiter), keep)


def _undivided(text: str, delimiter: str) -> str:
    if delimiter in text:
        raise Unwritable(f"one of its values holds {delimiter!r}, which separates the values here")
    return text


def _field_text(text: str) -> str:
    if not all(" " <= character <= "~" for character in text):
        raise Unwritable("a header can hold printable ASCII only, no line breaks and no accents")
    if text != text.strip(" "):
        raise Unwritable("a header's value can't begin or end with a space")
    return text


def _document(media_type: str, value: Any, *, ascii_only: bool = False) -> str:
    return as_json(value, ascii_only=ascii_only) if is_json(media_type) else as_text(value)
