"""How Swagger 2.0 declares parameters, bodies, servers and credentials."""

from typing import Any

from smart_support.connectors.openapi.document.dialect import (
    DeclaredBody,
    DeclaredParameter,
    Placed,
    by_hand,
    with_words,
)
from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.nodes import flag, mapping, pointer, sequence, text
from smart_support.connectors.openapi.document.operation import SecurityScheme, Server, Where
from smart_support.connectors.openapi.request.media_types import FORM, MULTIPART, is_form, preferred

__all__ = ["Swagger2"]

# collectionFormat -> style and explode; csv is the default.
_FORMATS = {
    "ssv": ("spaceDelimited", False),
    "tsv": ("tabDelimited", False),
    "pipes": ("pipeDelimited", False),
    "multi": ("form", True),
}
# Of a parameter; the rest of it is its schema.
_NO_SCHEMA = {"name", "in", "required", "collectionFormat", "allowEmptyValue"}


class Swagger2:
    """A `Dialect`."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def parameter(self, declared: Placed, where: Where, findings: Findings) -> DeclaredParameter:
        """See `Dialect`."""
        node, place = declared
        style, explode = _style(node, where)
        return DeclaredParameter(
            name=node["name"],
            where=where,
            required=where == "path" or flag(node.get("required")),
            schema=_schema(node),
            place=place,
            style=style,
            explode=explode,
        )

    def body(self, operation: Placed, parameters: list[Placed], findings: Findings) -> DeclaredBody | None:
        """See `Dialect`. It is the parameter in `body`, or all those in `formData`."""
        bodies = [each for each in parameters if each.node.get("in") == "body"]
        fields = [each for each in parameters if each.node.get("in") == "formData"]
        if bodies:
            if fields or len(bodies) > 1:
                findings.tell("warning", bodies[0].place, "there is more than one body; this one is sent")
            return self._whole(operation, bodies[0])
        return self._form(operation, fields) if fields else None

    def servers(self, owner: Placed) -> tuple[Server, ...]:
        """See `Dialect`. Without a host it is the one that the document came from."""
        whole = owner.node is self._document
        if not whole and "schemes" not in owner.node:
            return ()
        host, base = text(self._document.get("host")), text(self._document.get("basePath"))
        base = "/" + base.strip("/") if base.strip("/") else ""
        if not host:
            return (Server(url=base or "/"),) if whole else ()
        if "://" in host:
            return (Server(url=host.rstrip("/") + base),)
        schemes = [scheme for scheme in ("https", "http") if scheme in sequence(owner.node.get("schemes"))]
        return tuple(Server(url=f"{scheme}://{host.rstrip('/')}{base}") for scheme in schemes or ["https"])

    def schemes(self, findings: Findings) -> dict[str, SecurityScheme]:
        """See `Dialect`."""
        declared = mapping(self._document.get("securityDefinitions"))
        return {name: _scheme(name, mapping(node)) for name, node in declared.items()}

    def _whole(self, operation: Placed, body: Placed) -> DeclaredBody:
        takes = self._consumes(operation)
        return DeclaredBody(
            # A body in `body` is never a form, whatever the document says of other operations' bodies.
            media_type=preferred(kind for kind in takes if not is_form(kind)) or "application/json",
            required=flag(body.node.get("required")),
            schema=with_words(body.node.get("schema", {}), body.node),
            place=pointer(body.place, "schema"),
        )

    def _form(self, operation: Placed, fields: list[Placed]) -> DeclaredBody:
        takes = [kind for kind in self._consumes(operation) if is_form(kind)]
        has_files = any(each.node.get("type") == "file" for each in fields)
        named = {each.node["name"]: each.node for each in fields}
        required = [name for name, node in named.items() if flag(node.get("required"))]
        arrays = {name: _style(node, "query") for name, node in named.items() if node.get("type") == "array"}
        return DeclaredBody(
            media_type=MULTIPART if has_files else preferred(takes) or FORM,
            required=bool(required),
            schema={
                "type": "object",
                "properties": {name: _schema(node) for name, node in named.items()},
                "required": required,
            },
            place=pointer(operation.place, "parameters"),
            encodings={
                name: {"style": style, "explode": explode} for name, (style, explode) in arrays.items()
            },
        )

    def _consumes(self, operation: Placed) -> list[str]:
        owner = operation.node if "consumes" in operation.node else self._document
        return [text(kind) for kind in sequence(owner.get("consumes")) if text(kind)]


def _style(node: dict[str, Any], where: Where) -> tuple[str, bool]:
    plain = "form" if where in {"query", "cookie"} else "simple"
    return _FORMATS.get(text(node.get("collectionFormat")), (plain, False))


def _schema(node: dict[str, Any]) -> dict[str, Any]:
    # Some documents give such a parameter a schema, as OpenAPI 3 does.
    inner = mapping(node.get("schema"))
    return inner | {key: value for key, value in node.items() if key not in _NO_SCHEMA and key != "schema"}


def _scheme(name: str, node: dict[str, Any]) -> SecurityScheme:
    words, kind = text(node.get("description")), text(node.get("type"))
    if kind == "basic":
        return SecurityScheme(name=name, kind="basic", description=words)
    if kind == "apiKey" and text(node.get("in")) in {"header", "query"} and text(node.get("name")):
        where, parameter = text(node["in"]), text(node["name"])
        return SecurityScheme(name=name, kind="apiKey", where=where, parameter=parameter, description=words)
    if kind == "oauth2" and text(node.get("flow")) == "application" and text(node.get("tokenUrl")):
        url, scopes = text(node["tokenUrl"]), tuple(mapping(node.get("scopes")))
        return SecurityScheme(name=name, kind="oauth2", token_url=url, scopes=scopes, description=words)
    if kind == "oauth2":
        return by_hand(name, words)
    return SecurityScheme(name=name, kind="other", description=words)
