"""What an API description says, as data: documents, operations, parameters, findings."""

from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

Where = Literal["path", "query", "header", "cookie"]
Severity = Literal["note", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something a reviewer should know.

    Attributes:
        severity: `error` where an operation can't be used, `warning` where something was changed or guessed,
            `note` for the rest.
        place: where in the document, as a JSON Pointer (RFC 6901).
        message: one line: what is so, and what was done about it.
    """

    severity: Severity
    place: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One value that goes into a request beside its body.

    Attributes:
        name: as the API calls it.
        argument: what the tool's schema calls it; unique within the operation.
        style, explode: how arrays and objects are written (OpenAPI 3.1, "Style Values"). Swagger 2.0's
            `collectionFormat` is mapped to them: csv -> simple or form unexploded, ssv -> spaceDelimited,
            pipes -> pipeDelimited, multi -> form exploded, tsv -> tabDelimited.
        media_type: where the parameter has `content` instead of a schema: its value is one such document.
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
    """A request's body.

    Attributes:
        media_type: the one that is sent: JSON where the API takes it, else form, else multipart, else text
            or bytes.
        schema: of the whole body, self-contained.
        properties: argument -> property, where an object's properties stand among the tool's arguments
            (bodies that are plain objects); empty where the body is one argument, `argument`.
        argument: the name of that one argument, else "".
        encodings: `encoding` of the media type: property -> {"contentType", "style", "explode", ...}.
    """

    media_type: str
    required: bool = False
    schema: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    argument: str = ""
    encodings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A base address. `variables`: name -> {"default": ..., "enum": [...], "description": ...}."""

    url: str
    description: str = ""
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)

    def is_elsewhere(self, other: "Server") -> bool:
        """Whether both name a host, and not the same one."""
        mine, others = urlsplit(self.url).netloc.lower(), urlsplit(other.url).netloc.lower()
        return bool(mine and others) and mine != others


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityScheme:
    """How an API wants to know who calls.

    Attributes:
        kind: `apiKey`, `basic`, `bearer`, `oauth2` (client credentials only), or `other`.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method and path, ready to become a tool.

    Attributes:
        key: `GET /pets/{id}`: what it is called in a review; unique in a document and stable.
        tool_name: 1 to 64 of `a-z0-9_`, starting with a letter; unique and stable over re-imports.
        schema: of the tool's arguments: an object, self-contained (JSON Schema 2020-12).
        security: alternatives, each scheme name -> scopes; empty where nobody is asked who calls.
        servers: its own, where it has other ones than the document.
        keyed: it declares an `Idempotency-Key`, so it is safe to send again with the same one.
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
    security: tuple[dict[str, list[str]], ...] = ()
    servers: tuple[Server, ...] = ()
    keyed: bool = False
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An API's description, parsed.

    Attributes:
        format: `openapi-3.1`, `openapi-3.0` or `swagger-2.0`.
        findings: of the document; each operation has its own beside.
    """

    title: str
    version: str
    format: str
    description: str = ""
    servers: tuple[Server, ...] = ()
    schemes: dict[str, SecurityScheme] = field(default_factory=dict)
    operations: tuple[Operation, ...] = ()
    findings: tuple[Finding, ...] = ()
