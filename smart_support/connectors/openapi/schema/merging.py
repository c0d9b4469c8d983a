"""Several schemas that must all hold (`allOf`) as one. Their references are followed by inlining.py."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

__all__ = ["all_of", "merged", "with_plain_bounds"]

_Rule = Callable[[Any, Any], Any]


class _Conflict(Exception):
    """Both can't be held in one keyword."""


def merged(parts: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """One schema for all, and the keywords in which they conflict: there the first one's value stands."""
    if len(parts) == 1:
        return parts[0], []
    result: dict[str, Any] = {}
    conflicts: list[str] = []
    for part in parts:
        for key, value in part.items():
            try:
                result[key] = _combined(key, result[key], value) if key in result else value
            except _Conflict:
                conflicts.append(key)
    return result, list(dict.fromkeys(conflicts))


def all_of(one: Any, other: Any) -> Any:
    """A schema for what must be both."""
    if one == other:
        return one
    members = one["allOf"] if isinstance(one, dict) and one.keys() == {"allOf"} else [one]
    return {"allOf": [*members, other]}


def with_plain_bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.0's `exclusiveMinimum: true` beside a minimum as the number that 2020-12 has there."""
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(strict := schema.get(exclusive), bool):
            schema = {key: value for key, value in schema.items() if key != exclusive}
            if strict and inclusive in schema:
                schema[exclusive] = schema.pop(inclusive)
    return schema


def _combined(key: str, one: Any, other: Any) -> Any:
    if one == other or key in _FIRST_STANDS or key.startswith("x-"):
        return one
    if key not in _RULES:
        raise _Conflict
    try:
        return _RULES[key](one, other)
    except (TypeError, AttributeError):  # one of them is not of the keyword's type
        raise _Conflict from None


def _properties(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return one | {name: all_of(one[name], value) if name in one else value for name, value in other.items()}


def _union(one: list[Any], other: list[Any]) -> list[Any]:
    return list(dict.fromkeys([*one, *other]))


def _intersection(one: list[Any], other: list[Any]) -> list[Any]:
    others = {orjson.dumps(item) for item in other}
    common = [item for item in one if orjson.dumps(item) in others]
    if not common:
        raise _Conflict
    return common


def _types(one: Any, other: Any) -> Any:
    ones, others = (each if isinstance(each, list) else [each] for each in (one, other))
    if "number" in ones and "number" not in others:
        ones = [*ones, "integer"]
    if "number" in others and "number" not in ones:
        others = [*others, "integer"]
    common = _intersection(ones, others)
    return common[0] if len(common) == 1 else common


def _additional(one: Any, other: Any) -> Any:
    if one is False or other is False:
        return False
    if one is True or other is True:
        return other if one is True else one
    return all_of(one, other)


def _either(one: Any, other: Any) -> bool:
    return one is True or other is True


# Words about the schema, not rules: the outermost author's stand.
_FIRST_STANDS = {"title", "description", "default", "example", "examples", "xml", "externalDocs"}
_FIRST_STANDS |= {"discriminator", "$schema", "$id", "$comment", "$defs", "definitions"}
_RULES: dict[str, _Rule] = {
    "properties": _properties,
    "required": _union,
    "enum": _intersection,
    "type": _types,
    "items": all_of,
    "additionalProperties": _additional,
    **dict.fromkeys(("nullable", "readOnly", "writeOnly", "deprecated", "uniqueItems"), _either),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
