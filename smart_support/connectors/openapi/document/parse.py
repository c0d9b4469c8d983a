"""An API's description becomes a `Document`: its operations, each ready to be a tool, and what a reviewer
should know. How the formats differ: openapi3.py and swagger2.py."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from smart_support.connectors.openapi.document.arguments import assembled
from smart_support.connectors.openapi.document.dialect import Dialect, Placed
from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.naming import tool_names
from smart_support.connectors.openapi.document.nodes import flag, label, mapping, pointer, sequence, text
from smart_support.connectors.openapi.document.openapi3 import OpenApi3
from smart_support.connectors.openapi.document.operation import Document, Operation, Server
from smart_support.connectors.openapi.document.parameters import declarations, is_key, of_request
from smart_support.connectors.openapi.document.reader import InvalidSpec, format_of
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.document.security import requirements
from smart_support.connectors.openapi.document.swagger2 import Swagger2
from smart_support.errors import SmartSupportError
from smart_support.observability.log import get_logger

__all__ = ["parse"]

log = get_logger()

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
MAX_OPERATIONS = 5_000

_MAX_DESCRIPTION = 4_000


@dataclass(frozen=True, slots=True)
class _Site:
    """An operation as it stands in the document, and the path item around it."""

    method: str
    path: str
    item: Placed
    node: Any

    @property
    def key(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def place(self) -> str:
        return pointer(self.item.place, self.method)


def parse(document: dict[str, Any]) -> Document:
    """Read a loaded description: OpenAPI 3.0, 3.1 or Swagger 2.0.

    Nothing is fetched, and no mistake in a part keeps the rest from being read: what could not be is a
    finding of severity `error` on the document; what was changed or guessed is one on its operation.

    Raises:
        InvalidSpec: it is none of these formats.
    """
    return _Reading(document).document()


class _Reading:
    """One document while it is read."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._format = format_of(document)
        self._document = document
        self._references = References(document)
        self._dialect: Dialect = (
            Swagger2(document) if self._format == "swagger-2.0" else OpenApi3(document, self._references)
        )
        self._findings = Findings()
        self._schemes = self._dialect.schemes(self._findings)
        self._servers = self._dialect.servers(Placed(document, ""))

    def document(self) -> Document:
        info = mapping(self._document.get("info"))
        sites = list(self._sites())
        if len(sites) > MAX_OPERATIONS:
            message = f"there are {len(sites)} operations; only the first {MAX_OPERATIONS} are read"
            self._findings.tell("error", "/paths", message)
        names = tool_names({site.key: text(mapping(site.node).get("operationId")) for site in sites})
        operations = [self._operation(site, names[site.key]) for site in sites[:MAX_OPERATIONS]]
        return Document(
            title=text(info.get("title")) or "Untitled API",
            version=label(info.get("version")),
            format=self._format,
            description=text(info.get("description"))[:_MAX_DESCRIPTION],
            servers=self._servers
            or _common([one.servers for one in operations if one])
            or (Server(url="/"),),
            schemes=self._schemes,
            operations=tuple(operation for operation in operations if operation is not None),
            findings=self._findings.all(),
        )

    def _sites(self) -> Iterator[_Site]:
        paths = mapping(self._document.get("paths"))
        if not paths:
            self._findings.tell("warning", "/paths", "the document has no paths, so there is nothing to call")
        elsewhere = []
        for path, node in paths.items():
            if path.startswith("x-"):
                continue
            if _is_of_another_file(node):
                elsewhere.append(path)
                continue
            found = self._references.follow(node, pointer("/paths", path))
            if found.fault or not isinstance(found.node, dict):
                fault = found.fault or "a path must be an object"
                self._findings.tell("error", pointer("/paths", path), f"{fault}; its operations are left out")
            item = mapping(found.node)
            for beside in reversed(found.beside):
                item = item | beside
            for method in METHODS:
                if method in item:
                    yield _Site(method, path, Placed(item, found.place), item[method])
        if elsewhere:
            told = f"{len(elsewhere)} of {len(paths)} paths are in other files, which are not fetched"
            self._findings.tell(
                "error",
                pointer("/paths", elsewhere[0]),
                f"{told}: `{elsewhere[0][:80]}` for one; bundle the files into one document",
            )

    def _operation(self, site: _Site, tool_name: str) -> Operation | None:
        try:
            self._references.check_effort()
            if not isinstance(site.node, dict):
                raise InvalidSpec("an operation must be an object")
            return self._read(site, Placed(site.node, site.place), tool_name)
        except SmartSupportError as error:
            fault = error.message
        except Exception:  # whatever is wrong with one operation, the others are of use
            log.exception("operation_not_read", operation=site.key[:200])
            fault = "it could not be read"
        self._findings.tell("error", site.place, f"{site.key[:200]} is left out: {fault}")
        return None

    def _read(self, site: _Site, operation: Placed, tool_name: str) -> Operation:
        findings, node = Findings(), operation.node
        security = self._security(operation, findings)
        declared = declarations(site.path, site.item, operation, self._references, findings)
        schemes = [self._schemes[name] for each in security for name in each if name in self._schemes]
        parameters = of_request(site.path, operation, declared, schemes, self._dialect, findings)
        body = self._dialect.body(operation, declared, findings)
        arguments = assembled(parameters, body, self._references, findings)
        servers = self._dialect.servers(operation) or self._dialect.servers(site.item)
        if servers and self._servers and servers[0].is_elsewhere(self._servers[0]):
            findings.tell(
                "warning", site.place, f"it is called at a host of its own: `{servers[0].url[:200]}`"
            )
        return Operation(
            key=site.key,
            method=site.method.upper(),
            path=site.path,
            tool_name=tool_name,
            summary=text(node.get("summary")),
            description=text(node.get("description"))[:_MAX_DESCRIPTION],
            operation_id=text(node.get("operationId")),
            tags=tuple(text(tag) for tag in sequence(node.get("tags")) if text(tag)),
            deprecated=flag(node.get("deprecated")),
            parameters=arguments.parameters,
            body=arguments.body,
            schema=arguments.schema,
            security=security,
            servers=servers,
            keyed=any(each.node["in"] == "header" and is_key(each.node["name"]) for each in declared),
            findings=findings.all(),
        )

    def _security(self, operation: Placed, findings: Findings) -> tuple[dict[str, list[str]], ...]:
        owner = operation if "security" in operation.node else Placed(self._document, "")
        node = owner.node.get("security", [])
        return requirements(node, pointer(owner.place, "security"), self._schemes, findings)


def _is_of_another_file(node: Any) -> bool:
    to = mapping(node).get("$ref")
    return isinstance(to, str) and not to.startswith("#")


def _common(servers: list[tuple[Server, ...]]) -> tuple[Server, ...]:
    """The first operation's, where each has its own and the document none."""
    return servers[0] if servers and all(servers) else ()
