"""An operation's declared parameters and body become a tool's arguments, and one schema of them all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smart_support.connectors.openapi.document.dialect import DeclaredBody, DeclaredParameter
from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.naming import argument_names
from smart_support.connectors.openapi.document.operation import Body, Finding, Parameter
from smart_support.connectors.openapi.document.reader import InvalidSpec
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.request.encoding import is_json
from smart_support.connectors.openapi.request.media_types import is_form, is_text
from smart_support.connectors.openapi.schema.keywords import encoded_size
from smart_support.connectors.openapi.schema.tool_schema import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    self_contained,
    tool_schema,
)

__all__ = ["Arguments", "assembled"]

# Of all parameters together; each has at least a few and at most MAX_NODES.
_NODES = 2_000
_FEW_NODES = 8
_OBJECT = ("object", ["object"], ["object", "null"], ["null", "object"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What a tool takes: as parameters and body of a request, and as the schema a model sees."""

    parameters: tuple[Parameter, ...]
    body: Body | None
    schema: dict[str, Any]


def assembled(
    parameters: Sequence[DeclaredParameter],
    body: DeclaredBody | None,
    references: References,
    findings: Findings,
) -> Arguments:
    """The arguments, described as deep as fits into `MAX_BYTES`; without the last optional ones if need be.

    Raises:
        InvalidSpec: there are too many for a tool, whatever is left out.
    """
    for depth, most in [*((depth, MAX_BYTES) for depth in range(MAX_DEPTH, 0, -1)), (1, MAX_BYTES // 2)]:
        arguments, found = _described(parameters, body, references, depth, most)
        if encoded_size(arguments.schema) <= MAX_BYTES:
            findings.add(found)
            return arguments
    fewer = _fewer(parameters, encoded_size(arguments.schema) - MAX_BYTES, arguments)
    if len(fewer) == len(parameters):
        raise InvalidSpec(f"its arguments can't be described in {MAX_BYTES:,} bytes")
    for each in parameters:
        if each not in fewer:
            findings.tell(
                "warning", each.place, f"`{each.name[:60]}` is left out: too many arguments for a tool"
            )
    return assembled(fewer, body, references, findings)


def _fewer(
    parameters: Sequence[DeclaredParameter], excess: int, arguments: Arguments
) -> list[DeclaredParameter]:
    """The parameters without as many of the last optional ones as take the excess of bytes."""
    kept = []
    for each, written in reversed(list(zip(parameters, arguments.parameters, strict=True))):
        if excess > 0 and not each.required:
            excess -= encoded_size({written.argument: written.schema})
        else:
            kept.append(each)
    return kept[::-1]


def _described(
    parameters: Sequence[DeclaredParameter],
    body: DeclaredBody | None,
    references: References,
    depth: int,
    most: int,
) -> tuple[Arguments, list[Finding]]:
    nodes = max(_FEW_NODES, min(MAX_NODES, _NODES // max(len(parameters), 1)))
    converted = [
        self_contained(each.schema, references, place=each.place, depth=depth, nodes=nodes)
        for each in parameters
    ]
    whole: dict[str, Any] = {}
    told: tuple[Finding, ...] = ()
    if body:
        whole, told = self_contained(_sent(body), references, place=body.place, depth=depth, max_bytes=most)
    flat = _stands_flat(body, whole)
    parts: dict[str, Any] = whole["properties"] if flat else {"body": whole} if body else {}
    names = argument_names(
        [(each.where, each.name) for each in parameters] + [("body", name) for name in parts]
    )
    ours, bodys = names[: len(parameters)], dict(zip(names[len(parameters) :], parts, strict=True))
    written = tuple(
        _parameter(each, argument, schema)
        for each, argument, (schema, _) in zip(parameters, ours, converted, strict=True)
    )
    sent = _body(body, whole, bodys, flat) if body else None
    described = {each.argument: each.schema for each in written}
    described |= {argument: parts[name] for argument, name in bodys.items()}
    required = [each.argument for each in written if each.required] + _required(sent)
    arguments = Arguments(parameters=written, body=sent, schema=tool_schema(described, required))
    return arguments, [finding for _, findings in converted for finding in findings] + list(told)


def _sent(body: DeclaredBody) -> Any:
    """The body's schema; of what is neither JSON nor a form a text, of what is no text either, bytes."""
    if is_json(body.media_type) or is_form(body.media_type):
        return body.schema
    words = {"description": f"As {body.media_type[:60]}."}
    return words | (
        {"type": "string"} if is_text(body.media_type) else {"type": "string", "format": "binary"}
    )


def _stands_flat(body: DeclaredBody | None, whole: dict[str, Any]) -> bool:
    """Whether the properties stand among the tool's arguments: those of a plain object."""
    if body is None or whole.keys() & {"oneOf", "anyOf"}:
        return False
    return whole.get("type") in _OBJECT and bool(whole.get("properties"))


def _parameter(declared: DeclaredParameter, argument: str, schema: dict[str, Any]) -> Parameter:
    return Parameter(
        name=declared.name,
        where=declared.where,
        argument=argument,
        required=declared.required,
        schema=schema,
        style=declared.style,
        explode=declared.explode,
        allow_reserved=declared.allow_reserved,
        media_type=declared.media_type,
    )


def _body(declared: DeclaredBody, schema: dict[str, Any], names: dict[str, str], flat: bool) -> Body:
    return Body(
        media_type=declared.media_type,
        required=declared.required,
        schema=schema,
        properties=names if flat else {},
        argument="" if flat else next(iter(names)),
        encodings=declared.encodings,
    )


def _required(body: Body | None) -> list[str]:
    if body is None or not body.required:
        return []
    if body.argument:
        return [body.argument]
    return [argument for argument, name in body.properties.items() if name in body.schema.get("required", ())]
