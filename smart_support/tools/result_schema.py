"""The JSON Schema of a tool's result, as clients are told it: its names and types."""

from typing import Any

import orjson

# Clients give a schema to a model with each list of tools.
MAX_BYTES = 4_000
MAX_DEPTH = 6
MAX_PARTS = 150
_KEPT = frozenset({"type", "enum", "const", "description"})
_MAX_WORDS = 120
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


def shape_of(schema: Any, document: Any = None) -> dict[str, Any] | None:
    """Names and types of a schema. Whatever fits the schema fits its shape, too.

    Limits, patterns and formats are left out, because systems do not keep to their own; a pattern can also
    keep a client busy for ever. An object may have more properties than are named. What is nested too deeply
    can be anything.

    Args:
        document: what references of the schema (`#/...`) point into; the schema itself by default.

    Returns:
        None where the schema is wrong or large, or says no more than its type.
    """
    reader = _Reader(schema if document is None else document)
    try:
        shape = reader.read(schema, 0)
        if not {"properties", "items", "anyOf"} & shape.keys():
            return None
        return shape if len(orjson.dumps(shape)) <= MAX_BYTES else None
    except (_TooManyParts, _WrongSchema, TypeError):
        return None


def target_of_reference(node: Any, document: Any) -> Any:
    """What a node with a reference into the document stands for; the node itself without one."""
    for _ in range(MAX_DEPTH):
        reference = node.get("$ref") if isinstance(node, dict) else None
        if not isinstance(reference, str):
            break
        node = document if reference.startswith("#") else None
        for part in reference[1:].split("/")[1:]:
            node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return node


class _TooManyParts(Exception):
    """The schema has more parts than clients are told."""


class _WrongSchema(Exception):
    """A value of a keyword is not one that JSON Schema allows."""


class _Reader:
    def __init__(self, document: Any) -> None:
        self._document = document
        self._left = MAX_PARTS

    def read(self, node: Any, depth: int) -> dict[str, Any]:
        self._left -= 1
        if self._left < 0:
            raise _TooManyParts
        schema = target_of_reference(node, self._document)
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return {}
        shape = {name: value for name, value in schema.items() if name in _KEPT}
        if isinstance(words := shape.get("description"), str):
            shape["description"] = words[:_MAX_WORDS]
        shape |= self._object(schema, depth)
        if isinstance(schema.get("items"), dict):
            shape["items"] = self.read(schema["items"], depth + 1)
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(alternatives, list):
            shape["anyOf"] = [self.read(one, depth + 1) for one in alternatives]
        _check(shape)
        # OpenAPI 3.0 and Swagger 2.0.
        if schema.get("nullable") is True or schema.get("x-nullable") is True:
            return {"anyOf": [shape, {"type": "null"}]}
        return shape

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        required: list[str] = []
        for part in schema.get("allOf") or ():
            of_part = self.read(part, depth + 1)
            properties |= of_part.get("properties", {})
            required += of_part.get("required", [])
        own = schema.get("properties")
        if isinstance(own, dict):
            properties |= {name: self.read(part, depth + 1) for name, part in own.items()}
            hidden = {name for name, part in own.items() if isinstance(part, dict) and part.get("writeOnly")}
        else:
            hidden = set()
        if isinstance(schema.get("required"), list):
            required += [name for name in schema["required"] if name not in hidden]
        shape: dict[str, Any] = {"properties": properties} if properties else {}
        return shape | ({"required": list(dict.fromkeys(required))} if required else {})


def _check(shape: dict[str, Any]) -> None:
    """Check one level of a shape by the rules of JSON Schema (2020-12) for the keywords that it may have.

    The general check takes a thousand times as long, for each operation of a large API.

    Raises:
        _WrongSchema: a keyword has a wrong value.
    """
    kinds = shape.get("type", "null")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    is_right = (
        isinstance(kinds, list)
        and kinds
        and len(set(kinds)) == len(kinds)
        and _TYPES.issuperset(kinds)
        and isinstance(shape.get("enum", []), list)
        and isinstance(shape.get("description", ""), str)
        and all(isinstance(name, str) for name in shape.get("required", ()))
    )
    if not is_right:
        raise _WrongSchema
