"""The common interface of OpenAPI 3 and Swagger 2.0: parameters and bodies before their conversion."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.operation import Where
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.openapi.document.server import Server
from smart_support.connectors.openapi.request.encoding import essence
from smart_support.connectors.openapi.request.media_types import preferred, sendable

__all__ = [
    "Dialect",
    "Located",
    "RawBody",
    "RawParameter",
    "choose_media_type",
    "manual_token_scheme",
    "with_annotations",
]


class Located(NamedTuple):
    """A node with resolved references, and its place (JSON Pointer)."""

    node: dict[str, Any]
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RawParameter:
    """A parameter before conversion. `place`: of its schema. The other fields are those of `Parameter`."""

    name: str
    where: Where
    required: bool
    schema: Any
    place: str
    style: str
    explode: bool
    allow_reserved: bool = False
    media_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBody:
    """A body in the media type that is sent, before conversion. `place`: of its schema."""

    media_type: str
    required: bool
    schema: Any
    place: str
    encodings: dict[str, dict[str, Any]] = field(default_factory=dict)


class Dialect(Protocol):
    """One description format."""

    def parameter(self, source: Located, where: Where, findings: Findings) -> RawParameter:
        """A parameter that is not part of a body."""
        ...

    def body(self, operation: Located, parameters: list[Located], findings: Findings) -> RawBody | None:
        """The body of an operation."""
        ...

    def servers(self, owner: Located) -> tuple[Server, ...]:
        """The servers of a document, path or operation itself."""
        ...

    def schemes(self, findings: Findings) -> dict[str, SecurityScheme]:
        """The security schemes of the API."""
        ...


def with_annotations(schema: Any, parameter: dict[str, Any]) -> Any:
    """A parameter's schema with the parameter's own annotations, which are more specific."""
    annotations = {
        key: parameter[key] for key in ("description", "deprecated", "example") if key in parameter
    }
    return schema | annotations if isinstance(schema, dict) else schema


def manual_token_scheme(name: str, description: str) -> SecurityScheme:
    """A scheme for a login that only a person can complete: its access token is entered by hand."""
    description = f"An access token from this API's login, valid until it expires. {description}".strip()
    return SecurityScheme(name=name, kind="bearer", description=description)


def choose_media_type(names: Sequence[str], place: str, findings: Findings) -> tuple[str, str]:
    """The media type in which a body is sent, and its name in the description; empty if none can be sent."""
    by_type = {media_type: name for name in names if (media_type := sendable(name))}
    for name in names:
        if sendable(name) not in ("", name.strip()):
            findings.report("note", place, f"the media type `{name[:60]}` is read as `{sendable(name)[:60]}`")
    chosen = preferred(by_type)
    if not chosen:
        problem = f"the media type `{names[0][:60]}` is not valid" if names else "the body has no media type"
        findings.report("error" if names else "warning", place, f"{problem}; the body can't be sent")
        return "", ""
    others = [name for media_type, name in by_type.items() if essence(media_type) != essence(chosen)]
    if others:
        shown = ", ".join(name[:60] for name in others[:5])
        findings.report("note", place, f"the body is sent as `{chosen[:60]}`; it can't be sent as {shown}")
    return chosen, by_type[chosen]
