"""Reads parameters, bodies, servers and security schemes of OpenAPI 3.0 and 3.1."""

import re
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
from smart_support.connectors.openapi.document.nodes import flag, label, mapping, pointer, sequence, text
from smart_support.connectors.openapi.document.operation import Where
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.openapi.document.server import Server
from smart_support.connectors.openapi.document.swagger2 import Swagger2
from smart_support.connectors.openapi.request.media_types import preferred

__all__ = ["OpenApi3"]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_STYLES = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}


class OpenApi3:
    """A `Dialect`."""

    def __init__(self, document: dict[str, Any], references: References) -> None:
        self._document, self._references = document, references

    def parameter(self, source: Located, where: Where, findings: Findings) -> RawParameter:
        """See `Dialect`. A parameter with `content` instead of a schema is one encoded document."""
        node, place = source
        media_type = None
        schema, at = node.get("schema", {}), pointer(place, "schema")
        if "schema" not in node and (media_type := preferred(mapping(node.get("content"))) or None):
            schema, at = self._media(node, place, media_type)[1:]
        style = text(node.get("style")) or _STYLES[where][0]
        if style not in _STYLES[where]:
            findings.report(
                "warning", place, f"`style: {style[:40]}` is not valid in a {where}; the default is used"
            )
            style = _STYLES[where][0]
        return RawParameter(
            name=node["name"],
            where=where,
            required=where == "path" or flag(node.get("required")),
            schema=with_annotations(schema, node),
            place=at,
            style=style,
            explode=flag(node["explode"]) if "explode" in node else style == "form",
            allow_reserved=flag(node.get("allowReserved")),
            media_type=media_type,
        )

    def body(self, operation: Located, parameters: list[Located], findings: Findings) -> RawBody | None:
        """See `Dialect`."""
        if "requestBody" not in operation.node:
            return self._body_of_swagger2(operation, parameters, findings)
        resolved = self._references.resolve(
            operation.node["requestBody"], pointer(operation.place, "requestBody")
        )
        if resolved.fault:
            findings.report("error", resolved.place, f"{resolved.fault}; the body can't be sent")
        names = list(mapping(mapping(resolved.node).get("content")))
        media_type, name = choose_media_type(names, resolved.place, findings)
        if not media_type:
            return None
        media, schema, place = self._media(resolved.node, resolved.place, name)
        for field_name, node in mapping(media.get("encoding")).items():
            if mapping(mapping(node).get("headers")):
                message = f"the headers of `{field_name[:60]}` (`encoding`) are not sent"
                findings.report("warning", pointer(resolved.place, "content", name), message)
        return RawBody(
            media_type=media_type,
            required=flag(resolved.node.get("required")),
            schema=with_annotations(
                schema, {key: resolved.node[key] for key in ("description",) if key in resolved.node}
            ),
            place=place,
            encodings={name: _encoding(node) for name, node in mapping(media.get("encoding")).items()},
        )

    def _body_of_swagger2(
        self, operation: Located, parameters: list[Located], findings: Findings
    ) -> RawBody | None:
        """A body that is described as in Swagger 2.0: parameters in `body` or `formData`."""
        body = Swagger2(self._document).body(operation, parameters, findings)
        if body:
            message = (
                "the body is described as in Swagger 2.0 (`in: body` or `formData`); it is sent like that"
            )
            findings.report("warning", pointer(operation.place, "parameters"), message)
        return body

    def servers(self, owner: Located) -> tuple[Server, ...]:
        """See `Dialect`."""
        nodes = [mapping(node) for node in sequence(owner.node.get("servers"))]
        return tuple(
            Server(
                url=text(node.get("url")),
                description=text(node.get("description")),
                variables=_variables(node),
            )
            for node in nodes
            if text(node.get("url"))
        )

    def schemes(self, findings: Findings) -> dict[str, SecurityScheme]:
        """See `Dialect`."""
        nodes = mapping(mapping(self._document.get("components")).get("securitySchemes"))
        place = pointer("", "components", "securitySchemes")
        resolved = {
            name: self._references.resolve(node, pointer(place, name)).node for name, node in nodes.items()
        }
        return {name: _scheme(name, mapping(node)) for name, node in resolved.items()}

    def _media(self, node: dict[str, Any], place: str, media_type: str) -> tuple[dict[str, Any], Any, str]:
        """A Media Type Object, its schema, and the schema's place."""
        at = pointer(place, "content", media_type)
        # 3.2 allows a reference here.
        resolved = self._references.resolve(node["content"][media_type], at)
        media = mapping(resolved.node)
        return media, media.get("schema", {}), pointer(resolved.place, "schema")


def _encoding(node: Any) -> dict[str, Any]:
    encoding = mapping(node)
    result: dict[str, Any] = {
        key: text(encoding[key]) for key in ("contentType", "style") if text(encoding.get(key))
    }
    return result | {key: flag(encoding[key]) for key in ("explode", "allowReserved") if key in encoding}


def _variables(server: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The server's variables, also those that are used in its URL without a definition."""
    defined = mapping(server.get("variables"))
    used = _PLACEHOLDER.findall(text(server.get("url")))
    return {name: _variable(mapping(defined.get(name))) for name in dict.fromkeys([*defined, *used])}


def _variable(node: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"default": label(node["default"])} if "default" in node else {}
    if choices := [label(choice) for choice in sequence(node.get("enum")) if label(choice)]:
        result["enum"] = choices
    if text(node.get("description")):
        result["description"] = text(node["description"])
    return result


def _scheme(name: str, node: dict[str, Any]) -> SecurityScheme:
    description = text(node.get("description"))
    kind, http_scheme = text(node.get("type")).lower(), text(node.get("scheme")).lower()
    flow = mapping(mapping(node.get("flows")).get("clientCredentials"))
    if kind == "apikey" and text(node.get("in")) in {"header", "query", "cookie"} and text(node.get("name")):
        where, parameter = text(node["in"]), text(node["name"])
        return SecurityScheme(
            name=name, kind="apiKey", where=where, parameter=parameter, description=description
        )
    if kind == "http" and http_scheme == "basic":
        return SecurityScheme(name=name, kind="basic", description=description)
    if kind == "http" and http_scheme == "bearer":
        return SecurityScheme(name=name, kind="bearer", description=description)
    if kind == "oauth2" and text(flow.get("tokenUrl")):
        url, scopes = text(flow["tokenUrl"]), tuple(mapping(flow.get("scopes")))
        return SecurityScheme(name=name, kind="oauth2", token_url=url, scopes=scopes, description=description)
    if kind in ("oauth2", "openidconnect"):
        return manual_token_scheme(name, description)
    return SecurityScheme(name=name, kind="other", description=description)
