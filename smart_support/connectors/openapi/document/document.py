"""A parsed API description."""

from dataclasses import dataclass, field

from smart_support.connectors.openapi.document.findings import Finding
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.openapi.document.server import Server

__all__ = ["Document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed API description.

    Attributes:
        format: `openapi-3.1`, `openapi-3.0`, `swagger-2.0` or `mcp`.
        findings: about the document; each operation has its own.
    """

    title: str
    version: str
    format: str
    description: str = ""
    servers: tuple[Server, ...] = ()
    schemes: dict[str, SecurityScheme] = field(default_factory=dict)
    operations: tuple[Operation, ...] = ()
    findings: tuple[Finding, ...] = ()
