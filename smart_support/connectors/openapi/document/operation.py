"""A parsed operation: its parameters, body and schema."""

from dataclasses import dataclass, field
from typing import Any, Literal

from smart_support.connectors.openapi.document.findings import Finding
from smart_support.connectors.openapi.document.security import Requirements
from smart_support.connectors.openapi.document.server import Server

__all__ = ["Body", "Operation", "Parameter", "Where", "attributes"]

Where = Literal["path", "query", "header", "cookie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A value in a request outside its body. The field names are part of the stored fingerprint.

    Attributes:
        name: in the API.
        argument: in the tool's schema; unique within the operation.
        style, explode: how arrays and objects are encoded (OpenAPI 3.1, "Style Values"). Swagger 2.0's
            `collectionFormat` is mapped to them: csv -> simple or form unexploded, ssv -> spaceDelimited,
            pipes -> pipeDelimited, multi -> form exploded, tsv -> tabDelimited.
        media_type: of a parameter that has `content` instead of a schema; its value is one such document.
    """

    name: str
    where: Where
    argument: str
    required: bool = False
    schema: dict[str, Any] = field(default_factory=dict)
    style: str = "simple"
    explode: bool = False
    allow_reserved: bool = False
    media_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A request's body. The field names are part of the stored fingerprint.

    Attributes:
        media_type: the one that is sent: JSON if the API accepts it, else form, multipart, text or bytes.
        schema: of the whole body, without references.
        properties: argument -> property, if the properties of an object are arguments of the tool; empty if
            the body is one argument.
        argument: the name of that one argument, else "".
        encodings: the media type's `encoding`: property -> {"contentType", "style", "explode", ...}.
    """

    media_type: str
    required: bool = False
    schema: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    argument: str = ""
    encodings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method and path, ready to become a tool.

    Attributes:
        key: `GET /pets/{id}`; unique in a document, and stable.
        tool_name: 1 to 64 of `a-z0-9_`, starting with a letter; unique, and stable over re-imports.
        schema: of the tool's arguments: an object without references (JSON Schema 2020-12).
        security: empty if no authentication is required.
        servers: its own, if it has others than the document.
        keyed: it has an `Idempotency-Key` header, so a repeated call with the same key is safe.
        result_schema: of what it returns, as in `Tool.output_schema`.
        hints: what an MCP server says its tool does, by MCP's names; None if that was not stored.
    """

    key: str
    method: str
    path: str
    tool_name: str
    summary: str = ""
    description: str = ""
    operation_id: str = ""
    tags: tuple[str, ...] = ()
    deprecated: bool = False
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    schema: dict[str, Any] = field(default_factory=dict)
    security: Requirements = ()
    servers: tuple[Server, ...] = ()
    keyed: bool = False
    findings: tuple[Finding, ...] = ()
    result_schema: dict[str, Any] | None = None
    hints: dict[str, bool] | None = None


def attributes(value: Parameter | Body) -> dict[str, Any]:
    """The attributes by name: sorting the keys of a JSON text does not sort those of a dataclass."""
    return {name: getattr(value, name) for name in value.__slots__}
