"""Which credentials an operation asks for. What kinds there are, each format says itself."""

from collections.abc import Mapping
from typing import Any

from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.nodes import sequence, text
from smart_support.connectors.openapi.document.operation import SecurityScheme

__all__ = ["requirements"]

Requirements = tuple[dict[str, list[str]], ...]


def requirements(
    node: Any, place: str, schemes: Mapping[str, SecurityScheme], findings: Findings
) -> Requirements:
    """The alternatives of a `security`, each scheme name -> scopes; none where it is an empty list.

    The empty alternative, which makes credentials optional, is put last: they are used where there are any.
    """
    if not isinstance(node, list):
        findings.tell("warning", place, "`security` is no list; it is taken for empty")
    alternatives = [
        {name: [text(scope) for scope in sequence(scopes) if text(scope)] for name, scopes in each.items()}
        for each in sequence(node)
        if isinstance(each, dict)
    ]
    for name in dict.fromkeys(name for each in alternatives for name in each):
        if name not in schemes:
            findings.tell(
                "warning", place, f"`{name[:60]}` is not declared, so its credentials can't be entered"
            )
        elif schemes[name].kind == "other":
            findings.tell("warning", place, f"credentials of the kind of `{name[:60]}` are not supported")
    return tuple(sorted(alternatives, key=lambda each: not each))
