"""How OpenAPI 3.0 and 3.1 declare parameters, bodies, servers and credentials."""

import re
from typing import Any

from smart_support.connectors.openapi.document.dialect import (
    DeclaredBody,
    DeclaredParameter,
    Placed,
    by_hand,
    with_words,
)
from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.nodes import flag, label, mapping, pointer, sequence, text
from smart_support.connectors.openapi.document.operation import SecurityScheme, Server, Where
from smart_support.connectors.openapi.document.references import References
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

    def parameter(self, declared: Placed, where: Where, findings: Findings) -> DeclaredParameter:
        """See `Dialect`. Where it has a `content` instead of a schema, its value is one document."""
        node, place = declared
        media_type = None
        schema, at = node.get("schema", {}), pointer(place, "schema")
        if "schema" not in node and (media_type := preferred(mapping(node.get("content"))) or None):
            schema, at = self._media(node, place, media_type)[1:]
        style = text(node.get("style")) or _STYLES[where][0]
        if style not in _STYLES[where]:
            findings.tell(
                "warning", place, f"`style: {style[:40]}` is none in a {where}; the default is used"
            )
            style = _STYLES[where][0]
        return DeclaredParameter(
            name=node["name"],
            where=where,
            required=where == "path" or flag(node.get("required")),
            schema=with_words(schema, node),
            place=at,
            style=style,
            explode=flag(node["explode"]) if "explode" in node else style == "form",
            allow_reserved=flag(node.get("allowReserved")),
            media_type=media_type,
        )

    def body(self, operation: Placed, parameters: list[Placed], findings: Findings) -> DeclaredBody | None:
        """See `Dialect`."""
        if "requestBody" not in operation.node:
            return None
        found = self._references.follow(
            operation.node["requestBody"], pointer(operation.place, "requestBody")
        )
        if found.fault:
            findings.tell("error", found.place, f"{found.fault}; the body can't be sent")
        media_type = preferred(mapping(mapping(found.node).get("content")))
        if not media_type:
            findings.tell("warning", found.place, "the body has no media type; it is left out")
            return None
        media, schema, place = self._media(found.node, found.place, media_type)
        return DeclaredBody(
            media_type=media_type,
            required=flag(found.node.get("required")),
            schema=with_words(
                schema, {key: found.node[key] for key in ("description",) if key in found.node}
            ),
            place=place,
            encodings={name: _encoding(node) for name, node in mapping(media.get("encoding")).items()},
        )

    def servers(self, owner: Placed) -> tuple[Server, ...]:
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
        declared = mapping(mapping(self._document.get("components")).get("securitySchemes"))
        place = pointer("", "components", "securitySchemes")
        found = {
            name: self._references.follow(node, pointer(place, name)).node for name, node in declared.items()
        }
        return {name: _scheme(name, mapping(node)) for name, node in found.items()}

    def _media(self, node: dict[str, Any], place: str, media_type: str) -> tuple[dict[str, Any], Any, str]:
        """A Media Type Object, its schema, and where that stands."""
        at = pointer(place, "content", media_type)
        # 3.2 allows a reference here.
        found = self._references.follow(node["content"][media_type], at)
        media = mapping(found.node)
        return media, media.get("schema", {}), pointer(found.place, "schema")


def _encoding(node: Any) -> dict[str, Any]:
    given = mapping(node)
    result: dict[str, Any] = {
        key: text(given[key]) for key in ("contentType", "style") if text(given.get(key))
    }
    return result | {key: flag(given[key]) for key in ("explode", "allowReserved") if key in given}


def _variables(server: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Those that are declared, and those that are not and stand in the address all the same."""
    declared = mapping(server.get("variables"))
    used = _PLACEHOLDER.findall(text(server.get("url")))
    return {name: _variable(mapping(declared.get(name))) for name in dict.fromkeys([*declared, *used])}


def _variable(node: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"default": label(node["default"])} if "default" in node else {}
    if choices := [label(choice) for choice in sequence(node.get("enum")) if label(choice)]:
        result["enum"] = choices
    if text(node.get("description")):
        result["description"] = text(node["description"])
    return result


def _scheme(name: str, node: dict[str, Any]) -> SecurityScheme:
    words = text(node.get("description"))
    kind, way = text(node.get("type")).lower(), text(node.get("scheme")).lower()
    flow = mapping(mapping(node.get("flows")).get("clientCredentials"))
    if kind == "apikey" and text(node.get("in")) in {"header", "query", "cookie"} and text(node.get("name")):
        where, parameter = text(node["in"]), text(node["name"])
        return SecurityScheme(name=name, kind="apiKey", where=where, parameter=parameter, description=words)
    if kind == "http" and way == "basic":
        return SecurityScheme(name=name, kind="basic", description=words)
    if kind == "http" and way == "bearer":
        return SecurityScheme(name=name, kind="bearer", description=words)
    if kind == "oauth2" and text(flow.get("tokenUrl")):
        url, scopes = text(flow["tokenUrl"]), tuple(mapping(flow.get("scopes")))
        return SecurityScheme(name=name, kind="oauth2", token_url=url, scopes=scopes, description=words)
    if kind in ("oauth2", "openidconnect"):
        return by_hand(name, words)
    return SecurityScheme(name=name, kind="other", description=words)
