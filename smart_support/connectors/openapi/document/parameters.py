"""Which parameters an operation has: the path's and its own, made to agree with the path.

What becomes of them among a tool's arguments: assembly.py.
"""

import re
from collections.abc import Iterable, Sequence
from typing import get_args

from smart_support.connectors.openapi.document.dialect import DeclaredParameter, Dialect, Placed
from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.nodes import mapping, pointer, sequence
from smart_support.connectors.openapi.document.operation import SecurityScheme, Where
from smart_support.connectors.openapi.document.reader import InvalidSpec
from smart_support.connectors.openapi.document.references import References

__all__ = ["declarations", "is_key", "of_request"]

MAX_PARAMETERS = 500

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_BODY = {"body", "formData"}
# OpenAPI 3.1, "Parameter Object": such definitions shall be ignored.
_IGNORED_HEADERS = {"accept", "content-type", "authorization"}


def declarations(
    path: str, item: Placed, operation: Placed, references: References, findings: Findings
) -> list[Placed]:
    """All that are declared, Swagger 2.0's bodies included; an operation's own stands in place of the path's.

    Raises:
        InvalidSpec: there are too many.
    """
    lists = [(owner.place, sequence(owner.node.get("parameters"))) for owner in (item, operation)]
    count = sum(len(nodes) for _, nodes in lists)
    if count > MAX_PARAMETERS:
        raise InvalidSpec(f"it has {count} parameters; a tool can have {MAX_PARAMETERS}")
    merged: dict[tuple[str, str], Placed] = {}
    for place, nodes in lists:
        own: dict[tuple[str, str], Placed] = {}
        for at, node in enumerate(nodes):
            found = references.follow(node, pointer(place, "parameters", at))
            name, where = mapping(found.node).get("name"), mapping(found.node).get("in")
            if not isinstance(name, str) or not isinstance(where, str) or not name:
                fault = found.fault or "a parameter must have a name and say where it is"
                findings.tell("warning", found.place, f"{fault}; it is left out")
                continue
            key = (name.lower() if where == "header" else name, where)
            if key in own:
                message = f"`{name[:60]}` is declared twice; the first one stands"
                findings.tell("warning", found.place, message)
            own.setdefault(key, Placed(found.node, found.place))
        merged |= own
    return _respelled(path, list(merged.values()), findings)


def of_request(
    path: str,
    operation: Placed,
    declared: Sequence[Placed],
    schemes: Iterable[SecurityScheme],
    dialect: Dialect,
    findings: Findings,
) -> list[DeclaredParameter]:
    """Those that are sent beside a body and asked for, each placeholder of the path among them.

    Args:
        schemes: that the operation may use; what carries their credentials is no argument of a tool.
    """
    placeholders = _placeholders(path)
    carried = {(scheme.where, scheme.parameter.lower()) for scheme in schemes}
    parameters = []
    for each in declared:
        name, where = each.node["name"], each.node["in"]
        if where in _BODY or (where == "header" and name.lower() in _IGNORED_HEADERS):
            continue
        if where not in get_args(Where):
            message = f"`in: {where[:40]}` is no place for a parameter; it is left out"
            findings.tell("warning", each.place, message)
        elif where == "header" and is_key(name):
            findings.tell(
                "note", each.place, f"`{name[:60]}` is sent with each write; no model is asked for it"
            )
        elif where == "path" and name not in placeholders:
            findings.tell("warning", each.place, f"`{name[:60]}` is not in the path; it is left out")
        elif (where, name.lower()) in carried:
            findings.tell("note", each.place, f"`{name[:60]}` is a credential; no model is asked for it")
        else:
            parameters.append(dialect.parameter(each, where, findings))
    known = {each.name for each in parameters if each.where == "path"}
    for name in (name for name in placeholders if name not in known):
        findings.tell(
            "warning", operation.place, f"`{name[:60]}` in the path is not declared; taken for text"
        )
        parameters.append(_undeclared(name, operation.place))
    return parameters


def is_key(header: str) -> bool:
    """Whether a header is the key of a write (draft-ietf-httpapi-idempotency-key-header)."""
    return header.lower() == "idempotency-key"


def _placeholders(path: str) -> list[str]:
    # Some documents tell operations apart by a fragment; none is sent.
    return list(dict.fromkeys(_PLACEHOLDER.findall(path.partition("#")[0])))


def _respelled(path: str, declared: list[Placed], findings: Findings) -> list[Placed]:
    """The parameters, those of the path as the path spells them: `{petId}` is what is declared as `petID`."""
    spelled = {name.strip().casefold(): name for name in _placeholders(path)}
    taken = {each.node["name"] for each in declared if each.node["in"] == "path"}
    result = []
    for node, place in declared:
        said = node["name"]
        meant = spelled.get(said.strip().casefold(), said)
        respelled = node["in"] == "path" and meant not in taken
        if respelled:
            findings.tell("warning", place, f"`{said[:60]}` is taken for `{meant[:60]}` in the path")
            taken.add(meant)
        result.append(Placed(node | {"name": meant} if respelled else node, place))
    return result


def _undeclared(name: str, place: str) -> DeclaredParameter:
    return DeclaredParameter(
        name=name,
        where="path",
        required=True,
        schema={"type": "string"},
        place=place,
        style="simple",
        explode=False,
    )
