"""The definition of an imported operation: all that decides what a call does, or what a model reads of it.

An approval is given for it, and two imports are compared by it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from smart_support.connectors.openapi.document.operation import Operation, Parameter, attributes
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.tools.definition import DETAILS, Definition, differences, value_differences

__all__ = ["comparable", "definition_of", "operation_differences"]

_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
# Keywords with words of their own; all others are written as they are.
_OWN_WORDS = frozenset({"type", "description", "properties", "items", "required"})
_DEFAULT_STYLES = {
    "path": ("simple", False),
    "header": ("simple", False),
    "query": ("form", True),
    "cookie": ("form", True),
}
_MAX_LINES = 30


def definition_of(operation: Operation, schemes: Mapping[str, SecurityScheme], server: str) -> dict[str, str]:
    """The operation's definition.

    Args:
        schemes: of its document.
        server: the base URL that its calls go to.
    """
    lines = {"method": operation.method.upper(), "server": server, "path": operation.path}
    lines |= {
        "summary": operation.summary,
        "description": operation.description,
        "credentials": _credentials(operation, schemes),
        "body": _body(operation),
        "idempotency key": "sent as a header" if operation.keyed else "",
        "deprecated": "yes" if operation.deprecated else "",
        "hints": ", ".join(
            f"{name} {_json(value)}" for name, value in sorted((operation.hints or {}).items())
        ),
    }
    sent = _ways(operation)
    for name, words in _arguments(operation.schema):
        way = sent.pop(name, "")
        lines[f"argument {name}" if name else "arguments"] = f"{words}; {way}" if way else words
    lines |= {f"argument {name}": way for name, way in sent.items()}
    return {name: words for name, words in lines.items() if words} | {DETAILS: _digest(operation, schemes)}


def comparable(operation: Operation, before: Operation) -> Operation:
    """The operation without what was not stored of the earlier one."""
    return replace(operation, hints=None) if before.hints is None else operation


def operation_differences(
    before: Operation, before_lines: Definition, after: Operation, after_lines: Definition
) -> list[dict[str, str]]:
    """What differs between an operation of the live import and the same one of a new import."""
    lines = differences(before_lines, after_lines)
    if _without_details(before_lines) == _without_details(after_lines):
        # Both operations are known, so the details can be shown.
        lines = value_differences(_as_json(_details(before)), _as_json(_details(after))) or lines
    return lines[:_MAX_LINES]


def _without_details(lines: Definition) -> dict[str, str]:
    return {name: words for name, words in lines.items() if name != DETAILS}


def _arguments(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each argument, and each part of one, by its path, with what its schema says in words."""
    waiting: list[tuple[str, Any, bool]] = [("", schema, False)]
    while waiting:
        place, node, is_required = waiting.pop()
        if not isinstance(node, dict):
            yield place, _json(node)
            continue
        properties, items, required = node.get("properties"), node.get("items"), node.get("required")
        parts: list[tuple[str, Any, bool]] = []
        others = {name: value for name, value in node.items() if name not in _OWN_WORDS}
        named = required if isinstance(required, list) else []
        if isinstance(properties, dict):
            parts += [(_join(place, name), part, name in named) for name, part in properties.items()]
            named = [name for name in named if name not in properties]
        elif properties is not None:
            others["properties"] = properties
        if isinstance(items, dict) and place:
            parts.append((f"{place}[]", items, False))
        elif items is not None:
            others["items"] = items
        if named or (required is not None and not isinstance(required, list)):
            others["required"] = named or required
        words = [_type(node), "required" if is_required else ""]
        words += [f"{name} {_json(value)}" for name, value in sorted(others.items())]
        if "description" in node:
            words.append(f"described as {_json(node['description'])}")
        line = ", ".join(filter(None, words))
        if place or line != "object":
            yield place, line
        waiting += reversed(parts)


def _type(node: Mapping[str, Any]) -> str:
    """The JSON types of a schema."""
    if "type" not in node:
        return "any value"
    kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
    if kinds and all(isinstance(kind, str) and kind in _TYPES for kind in kinds):
        listed = " or ".join(kinds)
        return listed if len(kinds) > 1 or not isinstance(node["type"], list) else f"{listed} only"
    return f"type {_json(node['type'])}"


def _join(place: str, name: str) -> str:
    others = name.replace("_", "").replace("-", "")
    part = name if name and (not others or others.isalnum()) else _json(name)
    return f"{place}.{part}" if place else part


def _ways(operation: Operation) -> dict[str, str]:
    """How each argument is sent."""
    ways = {_join("", one.argument): _way(one) for one in operation.parameters}
    if body := operation.body:
        for argument, name in body.properties.items():
            ways[_join("", argument)] = "in the body" + _as(name, argument)
        if body.argument:
            ways[_join("", body.argument)] = "is the body"
    return ways


def _way(parameter: Parameter) -> str:
    way = f"in the {parameter.where}" + _as(parameter.name, parameter.argument)
    if (parameter.style, parameter.explode) != _DEFAULT_STYLES.get(parameter.where):
        way += f", style {parameter.style}" + (" exploded" if parameter.explode else "")
    if parameter.allow_reserved:
        way += ", reserved characters as they are"
    return way + (f", as {parameter.media_type}" if parameter.media_type else "")


def _as(name: str, argument: str) -> str:
    return f" as {_json(name)}" if name != argument else ""


def _body(operation: Operation) -> str:
    if operation.body is None:
        return ""
    body = operation.body
    encodings = f", encoding {_json(body.encodings)}" if body.encodings else ""
    return f"{body.media_type}{', required' if body.required else ''}{encodings}"


def _credentials(operation: Operation, schemes: Mapping[str, SecurityScheme]) -> str:
    alternatives = [
        " and ".join(_scheme(name, scopes, schemes) for name, scopes in each.items()) or "none"
        for each in operation.security
    ]
    return " or ".join(alternatives) or "none"


def _scheme(name: str, scopes: list[str], schemes: Mapping[str, SecurityScheme]) -> str:
    scheme = schemes.get(name)
    kinds = {"apiKey": "key", "oauth2": "OAuth2", "basic": "user name and password", "bearer": "bearer token"}
    words = [kinds.get(scheme.kind, "not supported") if scheme else "not defined"]
    if scheme and scheme.kind == "apiKey":
        words.append(f"in the {scheme.where} {scheme.parameter}")
    if scheme and scheme.token_url:
        words.append(f"from {scheme.token_url}")
    if scopes:
        words.append(f"scopes {', '.join(scopes)}")
    return f"{name} ({', '.join(words)})"


def _details(operation: Operation) -> dict[str, Any]:
    """All that decides what a call does, with every schema in full."""
    return {
        "parameters": {one.argument: attributes(one) for one in operation.parameters},
        "body": attributes(operation.body) if operation.body else None,
        "arguments": operation.schema,
        "credentials": operation.security,
        "operation id": operation.operation_id,
    }


def _digest(operation: Operation, schemes: Mapping[str, SecurityScheme]) -> str:
    used = {name: schemes[name] for each in operation.security for name in each if name in schemes}
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    content = orjson.dumps([_details(operation), used], option=options)
    return hashlib.sha256(content).hexdigest()[:16]


def _as_json(value: Any) -> Any:
    """The value as it is after it was JSON."""
    return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()
