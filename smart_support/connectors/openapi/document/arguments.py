"""Builds a tool's arguments and their schema from an operation's parameters and body."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from smart_support.connectors.openapi.document.dialect import RawBody, RawParameter
from smart_support.connectors.openapi.document.findings import Finding, Findings
from smart_support.connectors.openapi.document.operation import Body, Parameter
from smart_support.connectors.openapi.document.reader import InvalidSpec
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.request.encoding import is_json
from smart_support.connectors.openapi.request.media_types import is_form, is_lines, is_text
from smart_support.connectors.openapi.schema.keywords import encoded_size
from smart_support.connectors.openapi.schema.tool_schema import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    self_contained,
    tool_schema,
)

__all__ = ["Arguments", "argument_names", "build_arguments"]

# The budget of all parameters together; each gets from _MIN_NODES to MAX_NODES.
_TOTAL_NODES = 2_000
_MIN_NODES = 8
_MAX_NAME_LENGTH = 64
_VALID_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
# On a clash the first of these keeps its name.
_PRECEDENCE = {"path": 0, "query": 1, "header": 2, "cookie": 3, "body": 4}
_OBJECT_TYPES = ("object", ["object"], ["object", "null"], ["null", "object"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """A tool's arguments: as parameters and body of a request, and as the schema for a model."""

    parameters: tuple[Parameter, ...]
    body: Body | None
    schema: dict[str, Any]


def build_arguments(
    parameters: Sequence[RawParameter],
    body: RawBody | None,
    references: References,
    findings: Findings,
) -> Arguments:
    """The arguments, with schemas as deep as `MAX_BYTES` allows, if necessary without the last optional ones.

    Raises:
        InvalidSpec: even the required arguments are too large for a tool.
    """
    for depth, max_bytes in [*((depth, MAX_BYTES) for depth in range(MAX_DEPTH, 0, -1)), (1, MAX_BYTES // 2)]:
        arguments, new_findings = _at_depth(parameters, body, references, depth, max_bytes)
        if encoded_size(arguments.schema) <= MAX_BYTES:
            findings.add(new_findings)
            return arguments
    kept = _drop_optional(parameters, encoded_size(arguments.schema) - MAX_BYTES, arguments)
    if len(kept) == len(parameters):
        raise InvalidSpec(f"the schema of its arguments is larger than {MAX_BYTES:,} bytes")
    for each in parameters:
        if each not in kept:
            findings.report(
                "warning", each.place, f"`{each.name[:60]}` is left out: the tool has too many arguments"
            )
    return build_arguments(kept, body, references, findings)


def argument_names(parameters: Sequence[tuple[str, str]]) -> list[str]:
    """An argument name (`[A-Za-z0-9_-]{1,64}`) for each parameter.

    On a clash the first in the order path, query, header, cookie, body keeps the name, and a name that was
    valid before one that had to be changed. The other gets a suffix or prefix: `id_query`, `body_id`.

    Args:
        parameters: (where, name) of each; where is `path`, `query`, `header`, `cookie` or `body`.
    """

    own = [name for _, name in parameters]
    if len(set(own)) == len(own) and all(_valid(where, name) == name for where, name in parameters):
        return own

    def precedence(at: int) -> tuple[int, bool, str]:
        where, name = parameters[at]
        return _PRECEDENCE[where], _valid(where, name) != name, name

    names: dict[int, str] = {}
    taken: set[str] = set()
    for at in sorted(range(len(parameters)), key=precedence):
        where, name = parameters[at]
        valid = _valid(where, name)
        longer = f"body_{valid}" if where == "body" else f"{valid}_{where}"
        digest = sha256(f"{where} {name}".encode(errors="backslashreplace")).hexdigest()[:12]
        hashed = f"{valid[: _MAX_NAME_LENGTH - 13]}_{digest}"
        names[at] = next(
            name for name in (valid, longer, hashed) if name not in taken and len(name) <= _MAX_NAME_LENGTH
        )
        taken.add(names[at])
    return [names[at] for at in range(len(parameters))]


def _drop_optional(
    parameters: Sequence[RawParameter], excess: int, arguments: Arguments
) -> list[RawParameter]:
    """The parameters without the last optional ones, whose schemas have at least `excess` bytes."""
    kept = []
    for each, parameter in reversed(list(zip(parameters, arguments.parameters, strict=True))):
        if excess > 0 and not each.required:
            excess -= encoded_size({parameter.argument: parameter.schema})
        else:
            kept.append(each)
    return kept[::-1]


def _at_depth(
    parameters: Sequence[RawParameter],
    body: RawBody | None,
    references: References,
    depth: int,
    max_bytes: int,
) -> tuple[Arguments, list[Finding]]:
    nodes = max(_MIN_NODES, min(MAX_NODES, _TOTAL_NODES // max(len(parameters), 1)))
    converted = [
        self_contained(each.schema, references, place=each.place, depth=depth, nodes=nodes)
        for each in parameters
    ]
    whole: dict[str, Any] = {}
    body_findings: tuple[Finding, ...] = ()
    if body:
        source = _body_schema(body)
        whole, body_findings = self_contained(
            source, references, place=body.place, depth=depth, max_bytes=max_bytes
        )
    flat = _is_flat(body, whole)
    if body and flat and whole.get("additionalProperties") is True:
        message = "names beside the described ones (`additionalProperties`) can't be given"
        body_findings = (*body_findings, Finding(severity="note", place=body.place, message=message))
    parts: dict[str, Any] = whole["properties"] if flat else {"body": whole} if body else {}
    names = argument_names(
        [(each.where, each.name) for each in parameters] + [("body", name) for name in parts]
    )
    own_names, body_names = names[: len(parameters)], dict(zip(names[len(parameters) :], parts, strict=True))
    converted_parameters = tuple(
        _parameter(each, argument, schema)
        for each, argument, (schema, _) in zip(parameters, own_names, converted, strict=True)
    )
    request_body = _body(body, whole, body_names, flat) if body else None
    schemas = {each.argument: each.schema for each in converted_parameters}
    schemas |= {argument: parts[name] for argument, name in body_names.items()}
    required = [each.argument for each in converted_parameters if each.required]
    required += _required(request_body)
    arguments = Arguments(
        parameters=converted_parameters, body=request_body, schema=tool_schema(schemas, required)
    )
    return arguments, [finding for _, findings in converted for finding in findings] + list(body_findings)


def _body_schema(body: RawBody) -> Any:
    """The body's schema. A body that is neither JSON nor a form is text or a file."""
    is_list = isinstance(body.schema, dict) and body.schema.get("type") == "array"
    if is_json(body.media_type) or is_form(body.media_type) or (is_lines(body.media_type) and is_list):
        return body.schema
    schema = {"type": "string", "description": f"As {body.media_type[:60]}."}
    return schema if is_text(body.media_type) else schema | {"format": "binary"}


def _is_flat(body: RawBody | None, whole: dict[str, Any]) -> bool:
    """Whether the body's properties become arguments: those of an object with a fixed set of names."""
    if body is None or whole.keys() & {"oneOf", "anyOf"}:
        return False
    # Names beside the properties, which the schema describes, can only be given in the whole.
    if isinstance(whole.get("additionalProperties"), dict):
        return False
    return whole.get("type") in _OBJECT_TYPES and bool(whole.get("properties"))


def _parameter(source: RawParameter, argument: str, schema: dict[str, Any]) -> Parameter:
    return Parameter(
        name=source.name,
        where=source.where,
        argument=argument,
        required=source.required,
        schema=schema,
        style=source.style,
        explode=source.explode,
        allow_reserved=source.allow_reserved,
        media_type=source.media_type,
    )


def _body(source: RawBody, schema: dict[str, Any], names: dict[str, str], flat: bool) -> Body:
    return Body(
        media_type=source.media_type,
        required=source.required,
        schema=schema,
        properties=names if flat else {},
        argument="" if flat else next(iter(names)),
        encodings=source.encodings,
    )


def _required(body: Body | None) -> list[str]:
    if body is None or not body.required:
        return []
    if body.argument:
        return [body.argument]
    return [argument for argument, name in body.properties.items() if name in body.schema.get("required", ())]


def _valid(where: str, name: str) -> str:
    if _VALID_NAME.fullmatch(name):
        return name
    latin = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    if any(map(str.isalpha, name)) and not any(map(str.isalnum, latin)):
        # In another script: nothing is left that could be read.
        return f"{where}_{sha256(name.encode(errors='backslashreplace')).hexdigest()[:6]}"
    source = latin if name.isprintable() and any(map(str.isalnum, latin)) else name
    return re.sub(r"[^A-Za-z0-9_-]", "_", source)[:_MAX_NAME_LENGTH] or where
