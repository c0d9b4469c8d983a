"""The keywords of a single schema that hold no further schemas, as JSON Schema 2020-12 wants them.

What can't be kept is told and left out, so that the result only ever allows more. Keywords with schemas in
them: inlining.py.
"""

import math
from collections.abc import Callable
from typing import Any

import orjson

from smart_support.connectors.openapi.document.nodes import sequence, text
from smart_support.connectors.openapi.schema import patterns

__all__ = ["Tell", "annotations", "encoded_size", "rules", "with_null"]

Tell = Callable[[str], None]

_TYPES = ("null", "boolean", "object", "array", "number", "integer", "string")
_MEANT = {"int": "integer", "long": "integer", "float": "number", "double": "number", "decimal": "number"}
_MEANT |= {"bool": "boolean", "list": "array", "map": "object", "dict": "object", "file": "string"}
_MEANT |= dict.fromkeys(("str", "text", "date", "datetime", "date-time", "uuid", "binary"), "string")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_MAX_ENUM_BYTES = 4_000
_MAX_EXAMPLE_BYTES = 60
_MAX_WORD = 50
_BASE64 = "The bytes of the file, as base64."


def rules(schema: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """What the schema asks of a value itself."""
    types = _types(schema, tell)
    if _is_file(schema, types):
        return {"type": ["string", "null"] if "null" in types else "string", "contentEncoding": "base64"}
    result: dict[str, Any] = {"type": types[0] if len(types) == 1 else types} if types else {}
    result |= _choices(schema, types, tell)
    for key in (*_NUMBERS, *_COUNTS):
        if key in schema and (number := _number(key, schema[key])) is not None:
            result[key] = number
        elif key in schema:
            tell(f"`{key}: {_shown(schema[key])}` is no number that fits there; left out")
    if schema.get("uniqueItems") is True:
        result["uniqueItems"] = True
    if "pattern" in schema and (fault := patterns.fault(schema["pattern"])):
        tell(f"the pattern `{_shown(schema['pattern'])}` {fault}; left out")
    elif "pattern" in schema:
        result["pattern"] = schema["pattern"]
    for key in ("format", "contentEncoding", "contentMediaType"):
        if (word := text(schema.get(key))) and len(word) <= _MAX_WORD:
            result[key] = word
    return result


def annotations(schema: dict[str, Any], result: dict[str, Any], longest: int) -> dict[str, Any]:
    """What the schema says to its readers; with a hint where `result`'s values are files."""
    words = text(schema.get("description")) or text(schema.get("title"))
    if result.get("contentEncoding") == "base64":
        words = f"{words[: longest - len(_BASE64) - 1]} {_BASE64}".strip()
    found: dict[str, Any] = {"description": shortened(words, longest)} if words else {}
    examples = [schema["example"]] if "example" in schema else sequence(schema.get("examples"))[:3]
    short = [each for each in examples if each is not None and encoded_size(each) <= _MAX_EXAMPLE_BYTES]
    if short:
        found["examples"] = short
    if schema.get("deprecated") is True:
        found["deprecated"] = True
    return found


def shortened(words: str, longest: int) -> str:
    """At most so many characters, the last one an ellipsis where some are missing."""
    return words if len(words) <= longest else words[: longest - 1].rstrip() + "…"


def with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with null allowed as well: what OpenAPI 3.0 calls `nullable`."""
    result = dict(schema)
    if "const" in result:
        result["enum"] = [result.pop("const")]
    if "type" in result:
        types = result["type"] if isinstance(result["type"], list) else [result["type"]]
        result["type"] = [*types, *(["null"] if "null" not in types else [])]
    if "enum" in result and None not in result["enum"]:
        result["enum"] = [*result["enum"], None]
    alternatives = [*result.pop("oneOf", []), *result.get("anyOf", [])]
    if alternatives:
        result["anyOf"] = [*(each for each in alternatives if each != {"type": "null"}), {"type": "null"}]
    return result


def encoded_size(value: Any) -> int:
    """Bytes of the value's JSON; more than any limit where it has none."""
    try:
        return len(orjson.dumps(value))
    except (TypeError, orjson.JSONEncodeError):
        return 1_000_000_000


def _types(schema: dict[str, Any], tell: Tell) -> list[str]:
    said = schema.get("type")
    if said is None:
        keys = schema.keys()
        return ["object"] if "properties" in keys else ["array"] if "items" in keys else []
    names = [text(name) for name in (said if isinstance(said, list) else [said])]
    types = list(dict.fromkeys(name if name in _TYPES else _MEANT.get(name.lower(), "") for name in names))
    if "" in types or not types:
        tell(f"`type: {_shown(said)}` is none; any value is taken")
        return []
    if not set(names) <= {*_TYPES, "file"}:
        tell(f"`type: {_shown(said)}` is none; taken for {' or '.join(types)}")
    return types


def _choices(schema: dict[str, Any], types: list[str], tell: Tell) -> dict[str, Any]:
    result = {"const": schema["const"]} if "const" in schema else {}
    if "enum" not in schema:
        return result
    values = sequence(schema["enum"])
    if len(values) > _MAX_ENUM_BYTES or encoded_size(values) > _MAX_ENUM_BYTES:
        tell(f"`enum` has {len(values)} values, too many for a tool; left out")
        return result
    if "string" in types and not {"number", "integer", "boolean"} & set(types):
        values = [_as_text(value) for value in values]
    values = [
        value
        for value in values
        if not types or _type(value) in types or (_type(value) == "integer" and "number" in types)
    ]
    if not values:
        tell("`enum` is no list of values of this type; left out")
        return result
    return result | {"enum": values}


def _type(value: Any) -> str:
    """The JSON type of a value; of a whole number `integer`."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    return {float: "number", str: "string", list: "array"}.get(type(value), "object")


def _as_text(value: Any) -> Any:
    # YAML reads unquoted codes and years as numbers.
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _number(key: str, value: Any) -> int | float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    value = int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
    if key in _COUNTS:
        return value if isinstance(value, int) and value >= 0 else None
    return value if key != "multipleOf" or value > 0 else None


def _is_file(schema: dict[str, Any], types: list[str]) -> bool:
    """Bytes as such: Swagger 2.0's `file`, 3.0's `binary`, and 3.1's media type of a text that is none."""
    if schema.get("type") == "file" or schema.get("format") == "binary":
        return True
    return (
        "string" in types
        and "contentMediaType" in schema
        and not schema.keys() & {"contentEncoding", "format"}
    )


def _shown(value: Any) -> str:
    return shortened(" ".join(str(value).split()), 80)
