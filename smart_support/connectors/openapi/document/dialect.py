"""What a description declares of one operation, the same for OpenAPI 3 and Swagger 2.0, before it is made
into a tool by assembly.py."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.operation import SecurityScheme, Server, Where

__all__ = ["DeclaredBody", "DeclaredParameter", "Dialect", "Placed", "by_hand", "with_words"]


class Placed(NamedTuple):
    """A node of the document, its references followed, and where it stands (JSON Pointer)."""

    node: dict[str, Any]
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredParameter:
    """A parameter as declared. `schema`: not converted; it stands at `place`. The rest: `Parameter`."""

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
class DeclaredBody:
    """A body as declared, in the media type that is sent. `schema`: not converted; it stands at `place`."""

    media_type: str
    required: bool
    schema: Any
    place: str
    encodings: dict[str, dict[str, Any]] = field(default_factory=dict)


class Dialect(Protocol):
    """How one format of descriptions says what it says."""

    def parameter(self, declared: Placed, where: Where, findings: Findings) -> DeclaredParameter:
        """A parameter other than of a body."""
        ...

    def body(self, operation: Placed, parameters: list[Placed], findings: Findings) -> DeclaredBody | None:
        """The body that an operation takes."""
        ...

    def servers(self, owner: Placed) -> tuple[Server, ...]:
        """The servers that a document, path or operation names itself."""
        ...

    def schemes(self, findings: Findings) -> dict[str, SecurityScheme]:
        """How the API may want to know who calls."""
        ...


def with_words(schema: Any, declared: dict[str, Any]) -> Any:
    """A parameter's schema with what the parameter says beside it; that is nearer to what is meant."""
    words = {key: declared[key] for key in ("description", "deprecated", "example") if key in declared}
    return schema | words if isinstance(schema, dict) else schema


def by_hand(name: str, words: str) -> SecurityScheme:
    """A login that only a person can go through: the access token that comes of it is entered as it is."""
    told = f"An access token from this API's own login, until it ends. {words}".strip()
    return SecurityScheme(name=name, kind="bearer", description=told)
