"""Compares an import with the live import of the same API, operation by operation. Stores nothing."""

from dataclasses import dataclass
from typing import Any

from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.findings import Finding
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.operation_definition import comparable, definition_of, operation_differences
from smart_support.connectors.review.base_urls import base_url
from smart_support.connectors.review.import_store import ImportJob
from smart_support.errors import InvalidRequest

__all__ = ["Import", "changes", "scheme_findings"]

_KINDS = {
    "apiKey": "a key",
    "basic": "a user name and password",
    "bearer": "a bearer token",
    "oauth2": "OAuth2",
}


@dataclass(frozen=True, slots=True)
class Import:
    """A job with the server settings that count, and its description."""

    job: ImportJob
    document: Document

    def definition(self, operation: Operation) -> dict[str, str]:
        """An operation's definition, as this import calls it."""
        try:
            server = base_url(self.job, self.document, operation)
        except InvalidRequest:
            server = ""
        return definition_of(operation, self.document.schemes, server)


def changes(before: Import, after: Import) -> dict[str, list[dict[str, str]]]:
    """The differences of each operation that both imports have, by key.

    Each is a line `{"subject", "field", "before", "after"}`; no line where the operation is the same.
    """
    known = {one.tool_name: one for one in before.document.operations}
    return {
        one.tool_name: operation_differences(old, before.definition(old), one, after.definition(one))
        for new in after.document.operations
        if (old := known.get(new.tool_name)) and (one := comparable(new, old))
    }


def scheme_findings(before: Document, after: Document) -> list[Finding]:
    """A warning for each kind of credentials that is sent in another way than before."""
    pairs: list[tuple[str, Any, Any]] = [
        (name, before.schemes[name], scheme)
        for name, scheme in after.schemes.items()
        if name in before.schemes
    ]
    return [
        Finding(
            severity="warning",
            place=f"/securitySchemes/{name.replace('~', '~0').replace('/', '~1')}",
            message=f"`{name[:60]}` was {_sent(old)} before; now it is {_sent(new)}" + _risk(old, new),
        )
        for name, old, new in pairs
        if _sent(old) != _sent(new)
    ]


def _sent(scheme: SecurityScheme) -> str:
    if scheme.kind == "apiKey":
        return f"a key in the {scheme.where} parameter `{scheme.parameter[:60]}`".replace(
            "header parameter", "header"
        )
    from_where = f" from {scheme.token_url[:200]}" if scheme.token_url else ""
    return _KINDS.get(scheme.kind, "of a kind that is not supported") + from_where


def _risk(before: SecurityScheme, after: SecurityScheme) -> str:
    moved_to_address = after.where == "query" and before.where != "query"
    return ", where logs of servers and proxies show it" if moved_to_address else ""
