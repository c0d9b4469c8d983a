"""Converts the keywords of a schema that contain no subschemas to JSON Schema 2020-12.

Invalid keywords are reported and left out, so the result accepts at least what the original accepts.
"""

import math
from collections.abc import Callable
from typing import Any

import orjson

from smart_support.connectors.openapi.document.nodes import sequence, text
from smart_support.connectors.openapi.schema import patterns

__all__ = ["Report", "annotations", "assertions", "encoded_size", "with_null"]

Report = Callable[[str], None]

_TYPES = ("null", "boolean", "object", "array", "number", "integer", "string")
_TYPE_ALIASES = {
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "decimal": "number",
}
_TYPE_ALIASES |= {"bool": "boolean", "list": "array", "map": "object", "dict": "object", "file": "string"}
_TYPE_ALIASES |= dict.fromkeys(("str", "text", "date", "datetime", "date-time", "uuid", "binary"), "string")
_NUMERIC = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_FORMATS = ("format", "contentEncoding", "contentMediaType")
_BOUNDS = (*_NUMERIC, *_COUNTS)
_MAX_ENUM_BYTES = 4_000
_MAX_EXAMPLE_BYTES = 60
_MAX_WORD = 50
_BASE64 = "The bytes of the file, as base64."


def assertions(schema: dict[str, Any], report: Report) -> dict[str, Any]:
    """The keywords that restrict the value itself."""
    types = _types(schema, report)
    if _is_file(schema, types):
        return {"type": ["string", "null"] if "null" in types else "string", "contentEncoding": "base64"}
    result: dict[str, Any] = {"type": types[0] if len(types) == 1 else types} if types else {}
    if "enum" in schema or "const" in schema:
        result |= _choices(schema, types, report)
    for key in _BOUNDS if not schema.keys().isdisjoint(_BOUNDS) else ():
        if key in schema and (number := _number(key, schema[key])) is not None:
            result[key] = number
        elif key in schema:
            report(f"`{key}: {_shown(schema[key])}` is not a valid number; it is ignored")
    if schema.get("uniqueItems") is True:
        result["uniqueItems"] = True
    if "pattern" in schema and (fault := patterns.fault(schema["pattern"])):
        report(f"the pattern `{_shown(schema['pattern'])}` {fault}; it is ignored")
    elif "pattern" in schema:
        result["pattern"] = schema["pattern"]
    for key in _FORMATS if not schema.keys().isdisjoint(_FORMATS) else ():
        if (word := text(schema.get(key))) and len(word) <= _MAX_WORD:
            result[key] = word
    if result.get("contentEncoding") == "base64":
        # The API itself takes base64. Above, it only stands for the bytes of a file.
        result["format"] = "byte"
    return result


def annotations(schema: dict[str, Any], result: dict[str, Any], longest: int) -> dict[str, Any]:
    """The description, examples and deprecation; with a hint if the value is a file."""
    description = text(schema.get("description")) or text(schema.get("title"))
    if result.get("contentEncoding") == "base64":
        description = f"{description[: longest - len(_BASE64) - 1]} {_BASE64}".strip()
    notes: dict[str, Any] = {"description": shortened(description, longest)} if description else {}
    examples = [schema["example"]] if "example" in schema else sequence(schema.get("examples"))[:3]
    short = [each for each in examples if each is not None and encoded_size(each) <= _MAX_EXAMPLE_BYTES]
    if short:
        notes["examples"] = short
    if schema.get("deprecated") is True:
        notes["deprecated"] = True
    return notes


def shortened(text: str, longest: int) -> str:
    """The text cut to `longest` characters; a cut text ends with an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that also accepts null: OpenAPI 3.0's `nullable`."""
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
    """The size of the value as JSON in bytes; above every limit if it can't be encoded."""
    try:
        return len(orjson.dumps(value))
    except (TypeError, orjson.JSONEncodeError):
        return 1_000_000_000


def _types(schema: dict[str, Any], report: Report) -> list[str]:
    type_value = schema.get("type")
    if type_value is None:
        keys = schema.keys()
        return ["object"] if "properties" in keys else ["array"] if "items" in keys else []
    if isinstance(type_value, str) and type_value in _TYPES:
        return [type_value]
    names = [text(name) for name in (type_value if isinstance(type_value, list) else [type_value])]
    types = list(
        dict.fromkeys(name if name in _TYPES else _TYPE_ALIASES.get(name.lower(), "") for name in names)
    )
    if "" in types or not types:
        report(f"`type: {_shown(type_value)}` is not a type; any value is accepted")
        return []
    if not set(names) <= {*_TYPES, "file"}:
        report(f"`type: {_shown(type_value)}` is not a type; it is treated as {' or '.join(types)}")
    return types


def _choices(schema: dict[str, Any], types: list[str], report: Report) -> dict[str, Any]:
    result = {"const": schema["const"]} if "const" in schema else {}
    if "enum" not in schema:
        return result
    values = sequence(schema["enum"])
    if len(values) > _MAX_ENUM_BYTES or encoded_size(values) > _MAX_ENUM_BYTES:
        report(f"`enum` has {len(values)} values, too many for a tool; it is ignored")
        return result
    if "string" in types and not {"number", "integer", "boolean"} & set(types):
        values = [_as_text(value) for value in values]
    values = [
        value
        for value in values
        if not types or _type(value) in types or (_type(value) == "integer" and "number" in types)
    ]
    if not values:
        report("`enum` has no values of this type; it is ignored")
        return result
    return result | {"enum": values}


def _type(value: Any) -> str:
    """The JSON type of a value; `integer` for a whole number."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    return {float: "number", str: "string", list: "array"}.get(type(value), "object")


def _as_text(value: Any) -> Any:
    # YAML parses unquoted codes and years as numbers.
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
    """Whether the value is a file: 2.0's `file`, 3.0's `binary`, or 3.1's unencoded `contentMediaType`."""
    if schema.get("type") == "file" or schema.get("format") == "binary":
        return True
    return (
        "string" in types
        and "contentMediaType" in schema
        and not schema.keys() & {"contentEncoding", "format"}
    )


def _shown(value: Any) -> str:
    return shortened(" ".join(str(value).split()), 80)
