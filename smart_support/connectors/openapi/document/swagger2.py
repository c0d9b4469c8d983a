"""Reads parameters, bodies, servers and security schemes of Swagger 2.0."""

from typing import Any

from smart_support.connectors.openapi.document.dialect import (
    Located,
    RawBody,
    RawParameter,
    choose_media_type,
    manual_token_scheme,
    with_annotations,
)
from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.nodes import flag, mapping, pointer, sequence, text
from smart_support.connectors.openapi.document.operation import Where
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.openapi.document.server import Server
from smart_support.connectors.openapi.request.media_types import FORM, MULTIPART, is_form, preferred

__all__ = ["Swagger2"]

# collectionFormat -> style and explode; csv is the default.
_FORMATS = {
    "ssv": ("spaceDelimited", False),
    "tsv": ("tabDelimited", False),
    "pipes": ("pipeDelimited", False),
    "multi": ("form", True),
}
# Keys of a parameter that are not part of its schema.
_PARAMETER_KEYS = {"name", "in", "required", "collectionFormat", "allowEmptyValue"}


class Swagger2:
    """A `Dialect`."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def parameter(self, source: Located, where: Where, findings: Findings) -> RawParameter:
        """See `Dialect`."""
        node, place = source
        style, explode = _style(node, where)
        return RawParameter(
            name=node["name"],
            where=where,
            required=where == "path" or flag(node.get("required")),
            schema=_schema(node),
            place=place,
            style=style,
            explode=explode,
        )

    def body(self, operation: Located, parameters: list[Located], findings: Findings) -> RawBody | None:
        """See `Dialect`. The body is the parameter in `body`, or all parameters in `formData`."""
        bodies = [each for each in parameters if each.node.get("in") == "body"]
        fields = [each for each in parameters if each.node.get("in") == "formData"]
        if bodies:
            if fields or len(bodies) > 1:
                findings.report("warning", bodies[0].place, "there is more than one body; this one is used")
            return self._body_parameter(operation, bodies[0], findings)
        return self._form(operation, fields) if fields else None

    def servers(self, owner: Located) -> tuple[Server, ...]:
        """See `Dialect`. Without a host, the server is the one that the document came from."""
        is_document = owner.node is self._document
        if not is_document and "schemes" not in owner.node:
            return ()
        host, base = text(self._document.get("host")), text(self._document.get("basePath"))
        base = "/" + base.strip("/") if base.strip("/") else ""
        if not host:
            return (Server(url=base or "/"),) if is_document else ()
        if "://" in host:
            return (Server(url=host.rstrip("/") + base),)
        schemes = [scheme for scheme in ("https", "http") if scheme in sequence(owner.node.get("schemes"))]
        return tuple(Server(url=f"{scheme}://{host.rstrip('/')}{base}") for scheme in schemes or ["https"])

    def schemes(self, findings: Findings) -> dict[str, SecurityScheme]:
        """See `Dialect`."""
        nodes = mapping(self._document.get("securityDefinitions"))
        return {name: _scheme(name, mapping(node)) for name, node in nodes.items()}

    def _body_parameter(self, operation: Located, body: Located, findings: Findings) -> RawBody | None:
        # A parameter in `body` is never a form, even if the document's `consumes` includes one.
        media_types = [kind for kind in self._consumes(operation) if not is_form(kind)]
        media_type, _ = choose_media_type(media_types or ["application/json"], operation.place, findings)
        if not media_type:
            return None
        return RawBody(
            media_type=media_type,
            required=flag(body.node.get("required")),
            schema=with_annotations(body.node.get("schema", {}), body.node),
            place=pointer(body.place, "schema"),
        )

    def _form(self, operation: Located, fields: list[Located]) -> RawBody:
        media_types = [kind for kind in self._consumes(operation) if is_form(kind)]
        has_files = any(each.node.get("type") == "file" for each in fields)
        nodes = {each.node["name"]: each.node for each in fields}
        required = [name for name, node in nodes.items() if flag(node.get("required"))]
        arrays = {name: _style(node, "query") for name, node in nodes.items() if node.get("type") == "array"}
        return RawBody(
            media_type=MULTIPART if has_files else preferred(media_types) or FORM,
            required=bool(required),
            schema={
                "type": "object",
                "properties": {name: _schema(node) for name, node in nodes.items()},
                "required": required,
            },
            place=pointer(operation.place, "parameters"),
            encodings={
                name: {"style": style, "explode": explode} for name, (style, explode) in arrays.items()
            },
        )

    def _consumes(self, operation: Located) -> list[str]:
        owner = operation.node if "consumes" in operation.node else self._document
        return [text(kind) for kind in sequence(owner.get("consumes")) if text(kind)]


def _style(node: dict[str, Any], where: Where) -> tuple[str, bool]:
    default = "form" if where in {"query", "cookie"} else "simple"
    return _FORMATS.get(text(node.get("collectionFormat")), (default, False))


def _schema(node: dict[str, Any]) -> dict[str, Any]:
    # Some documents have a `schema` here, as in OpenAPI 3.
    inner = mapping(node.get("schema"))
    return inner | {
        key: value for key, value in node.items() if key not in _PARAMETER_KEYS and key != "schema"
    }


def _scheme(name: str, node: dict[str, Any]) -> SecurityScheme:
    description, kind = text(node.get("description")), text(node.get("type"))
    if kind == "basic":
        return SecurityScheme(name=name, kind="basic", description=description)
    if kind == "apiKey" and text(node.get("in")) in {"header", "query"} and text(node.get("name")):
        where, parameter = text(node["in"]), text(node["name"])
        return SecurityScheme(
            name=name, kind="apiKey", where=where, parameter=parameter, description=description
        )
    if kind == "oauth2" and text(node.get("flow")) == "application" and text(node.get("tokenUrl")):
        url, scopes = text(node["tokenUrl"]), tuple(mapping(node.get("scopes")))
        return SecurityScheme(name=name, kind="oauth2", token_url=url, scopes=scopes, description=description)
    if kind == "oauth2":
        return manual_token_scheme(name, description)
    return SecurityScheme(name=name, kind="other", description=description)
