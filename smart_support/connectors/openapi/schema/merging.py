"""Merges schemas that must all be valid (`allOf`) into one."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

__all__ = ["all_of", "merged", "with_numeric_bounds"]

_Merge = Callable[[Any, Any], Any]


class _Conflict(Exception):
    """Two values of a keyword can't be merged."""


def merged(parts: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """The merged schema, and the keywords that conflict; for those the first value is used."""
    if len(parts) == 1:
        return parts[0], []
    result: dict[str, Any] = {}
    conflicts: list[str] = []
    for part in parts:
        for key, value in part.items():
            try:
                result[key] = _merge_values(key, result[key], value) if key in result else value
            except _Conflict:
                conflicts.append(key)
    return result, list(dict.fromkeys(conflicts))


def all_of(one: Any, other: Any) -> Any:
    """A schema that requires both."""
    if one == other:
        return one
    members = one["allOf"] if isinstance(one, dict) and one.keys() == {"allOf"} else [one]
    return {"allOf": [*members, other]}


def with_numeric_bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """Converts OpenAPI 3.0's boolean `exclusiveMinimum` and `exclusiveMaximum` to numbers, as in 2020-12."""
    if schema.keys().isdisjoint(("exclusiveMinimum", "exclusiveMaximum")):
        return schema
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(strict := schema.get(exclusive), bool):
            schema = {key: value for key, value in schema.items() if key != exclusive}
            if strict and inclusive in schema:
                schema[exclusive] = schema.pop(inclusive)
    return schema


def _merge_values(key: str, one: Any, other: Any) -> Any:
    if one == other or key in _FIRST_WINS or key.startswith("x-"):
        return one
    if key not in _MERGE_FUNCTIONS:
        raise _Conflict
    try:
        return _MERGE_FUNCTIONS[key](one, other)
    except (TypeError, AttributeError):  # a value has the wrong type for the keyword
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


# Annotations, not assertions: the outermost one is used.
_FIRST_WINS = {"title", "description", "default", "example", "examples", "xml", "externalDocs"}
_FIRST_WINS |= {"discriminator", "$schema", "$id", "$comment", "$defs", "definitions"}
_MERGE_FUNCTIONS: dict[str, _Merge] = {
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
