"""Collects the parameters of an operation: the path's and its own, matched with the path's placeholders."""

import re
from collections.abc import Iterable, Sequence
from typing import get_args

from smart_support.connectors.openapi.document.dialect import Dialect, Located, RawParameter
from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.nodes import mapping, pointer, sequence
from smart_support.connectors.openapi.document.operation import Where
from smart_support.connectors.openapi.document.reader import InvalidSpec
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.document.security import SecurityScheme

__all__ = ["collect_parameters", "is_idempotency_key", "request_parameters"]

MAX_PARAMETERS = 500

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_LOCATIONS = frozenset(get_args(Where))
_BODY_LOCATIONS = {"body", "formData"}
# OpenAPI 3.1, "Parameter Object": these definitions are ignored.
_IGNORED_HEADERS = {"accept", "content-type", "authorization"}


def collect_parameters(
    path: str, item: Located, operation: Located, references: References, findings: Findings
) -> list[Located]:
    """All parameters, with Swagger 2.0's bodies. An operation's parameter overrides the path's.

    Raises:
        InvalidSpec: there are too many.
    """
    lists = [(owner.place, sequence(owner.node.get("parameters"))) for owner in (item, operation)]
    count = sum(len(nodes) for _, nodes in lists)
    if count > MAX_PARAMETERS:
        raise InvalidSpec(f"it has {count} parameters; a tool can have {MAX_PARAMETERS}")
    merged: dict[tuple[str, str], Located] = {}
    for place, nodes in lists:
        own: dict[tuple[str, str], Located] = {}
        for at, node in enumerate(nodes):
            resolved = references.resolve(node, pointer(place, "parameters", at))
            name, where = mapping(resolved.node).get("name"), mapping(resolved.node).get("in")
            if not isinstance(name, str) or not isinstance(where, str) or not name:
                fault = resolved.fault or "a parameter must have `name` and `in`"
                findings.report("warning", resolved.place, f"{fault}; it is ignored")
                continue
            key = (name.lower() if where == "header" else name, where)
            if key in own:
                message = f"`{name[:60]}` is defined twice; the first one is used"
                findings.report("warning", resolved.place, message)
            own.setdefault(key, Located(resolved.node, resolved.place))
        merged |= own
    return _match_spelling(path, list(merged.values()), findings)


def request_parameters(
    path: str,
    operation: Located,
    sources: Sequence[Located],
    schemes: Iterable[SecurityScheme],
    dialect: Dialect,
    findings: Findings,
) -> list[RawParameter]:
    """The parameters outside the body that become arguments, with every placeholder of the path.

    Args:
        schemes: of the operation; parameters that carry their credentials are not arguments.
    """
    placeholders = _placeholders(path)
    credentials = {(scheme.where, scheme.parameter.lower()) for scheme in schemes}
    parameters = []
    for each in sources:
        name, where = each.node["name"], each.node["in"]
        if where in _BODY_LOCATIONS or (where == "header" and name.lower() in _IGNORED_HEADERS):
            continue
        if where not in _LOCATIONS:
            message = f"`in: {where[:40]}` is not valid; the parameter is ignored"
            findings.report("warning", each.place, message)
        elif where == "header" and is_idempotency_key(name):
            findings.report(
                "note",
                each.place,
                f"`{name[:60]}` is set automatically for each write; it is not an argument",
            )
        elif where == "path" and name not in placeholders:
            findings.report("warning", each.place, f"`{name[:60]}` is not in the path; it is ignored")
        elif (where, name.lower()) in credentials:
            findings.report("note", each.place, f"`{name[:60]}` is a credential; it is not an argument")
        else:
            parameters.append(dialect.parameter(each, where, findings))
    known = {each.name for each in parameters if each.where == "path"}
    for name in (name for name in placeholders if name not in known):
        findings.report(
            "warning", operation.place, f"`{name[:60]}` in the path is not defined; a string is assumed"
        )
        parameters.append(_undefined(name, operation.place))
    return parameters


def is_idempotency_key(header: str) -> bool:
    """Whether a header is `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header)."""
    return header.lower() == "idempotency-key"


def _placeholders(path: str) -> list[str]:
    # Some documents use a fragment to distinguish operations; it is never sent.
    return list(dict.fromkeys(_PLACEHOLDER.findall(path.partition("#")[0])))


def _match_spelling(path: str, sources: list[Located], findings: Findings) -> list[Located]:
    """Renames path parameters to the path's spelling: `petID` becomes `petId` for `{petId}`."""
    spelled = {name.strip().casefold(): name for name in _placeholders(path)}
    taken = {each.node["name"] for each in sources if each.node["in"] == "path"}
    result = []
    for node, place in sources:
        name = node["name"]
        spelling = spelled.get(name.strip().casefold(), name)
        is_renamed = node["in"] == "path" and spelling not in taken
        if is_renamed:
            findings.report("warning", place, f"`{name[:60]}` is treated as `{spelling[:60]}` in the path")
            taken.add(spelling)
        result.append(Located(node | {"name": spelling} if is_renamed else node, place))
    return result


def _undefined(name: str, place: str) -> RawParameter:
    return RawParameter(
        name=name,
        where="path",
        required=True,
        schema={"type": "string"},
        place=place,
        style="simple",
        explode=False,
    )
