"""Security schemes and security requirements (OpenAPI 3.1, "Security Scheme Object")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.nodes import sequence, text

__all__ = ["Requirements", "SecurityScheme", "requirements"]

# Alternatives; each maps scheme names to scopes.
Requirements = tuple[dict[str, list[str]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityScheme:
    """A way to authenticate.

    Attributes:
        kind: `oauth2` is client credentials only; `other` is not supported.
        where, parameter: of an API key: `header`, `query` or `cookie`, and its name there.
        token_url, scopes: of OAuth2 client credentials (RFC 6749, 4.4).
    """

    name: str
    kind: Literal["apiKey", "basic", "bearer", "oauth2", "other"]
    where: str = ""
    parameter: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    description: str = ""


def requirements(
    node: Any, place: str, schemes: Mapping[str, SecurityScheme], findings: Findings
) -> Requirements:
    """The alternatives of a `security` node.

    An empty alternative makes credentials optional. It comes last, so that existing credentials are used.
    """
    if not isinstance(node, list):
        findings.report("warning", place, "`security` is not a list; it is treated as empty")
    alternatives = [
        {name: [text(scope) for scope in sequence(scopes) if text(scope)] for name, scopes in each.items()}
        for each in sequence(node)
        if isinstance(each, dict)
    ]
    for name in dict.fromkeys(name for each in alternatives for name in each):
        if name not in schemes:
            findings.report(
                "warning", place, f"`{name[:60]}` is not defined; its credentials can't be entered"
            )
        elif schemes[name].kind == "other":
            findings.report("warning", place, f"`{name[:60]}` is a kind of credentials that is not supported")
    return tuple(sorted(alternatives, key=lambda each: not each))
