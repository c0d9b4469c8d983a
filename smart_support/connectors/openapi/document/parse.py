"""Parses a loaded API description into a `Document`. The formats are in openapi3.py and swagger2.py."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from smart_support.connectors.openapi.document.arguments import build_arguments
from smart_support.connectors.openapi.document.dialect import Dialect, Located
from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.findings import Findings
from smart_support.connectors.openapi.document.nodes import flag, label, mapping, pointer, sequence, text
from smart_support.connectors.openapi.document.openapi3 import OpenApi3
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.parameters import (
    collect_parameters,
    is_idempotency_key,
    request_parameters,
)
from smart_support.connectors.openapi.document.reader import InvalidSpec, format_of
from smart_support.connectors.openapi.document.references import References
from smart_support.connectors.openapi.document.responses import result_schema
from smart_support.connectors.openapi.document.security import requirements
from smart_support.connectors.openapi.document.server import Server
from smart_support.connectors.openapi.document.swagger2 import Swagger2
from smart_support.connectors.openapi.document.tool_names import tool_names
from smart_support.connectors.openapi.request.encoding import FIELD_NAME
from smart_support.errors import SmartSupportError
from smart_support.observability.log import get_logger

__all__ = ["parse"]

log = get_logger()

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
MAX_OPERATIONS = 5_000

_MAX_DESCRIPTION = 4_000


@dataclass(frozen=True, slots=True)
class _OperationNode:
    """An operation in the document, and its path item."""

    method: str
    path: str
    item: Located
    node: Any
    place: str

    @property
    def key(self) -> str:
        return f"{self.method.upper()} {self.path}"


def parse(document: dict[str, Any]) -> Document:
    """Parse a loaded OpenAPI 3.0, 3.1 or Swagger 2.0 description. Fetches nothing.

    An error in one operation does not affect the others: it becomes a finding of severity `error` on the
    document. What is changed or guessed becomes a finding on the operation.

    Raises:
        InvalidSpec: the document has another format.
    """
    return _Parser(document).document()


class _Parser:
    """The state of parsing one document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._format = format_of(document)
        self._document = document
        self._references = References(document)
        self._dialect: Dialect = (
            Swagger2(document) if self._format == "swagger-2.0" else OpenApi3(document, self._references)
        )
        self._findings = Findings()
        self._schemes = self._dialect.schemes(self._findings)
        self._servers = self._dialect.servers(Located(document, ""))

    def document(self) -> Document:
        info = mapping(self._document.get("info"))
        sources = list(self._operation_nodes())
        if len(sources) > MAX_OPERATIONS:
            message = f"there are {len(sources)} operations; only the first {MAX_OPERATIONS} are read"
            self._findings.report("error", "/paths", message)
        names = tool_names({source.key: text(mapping(source.node).get("operationId")) for source in sources})
        operations = [self._operation(source, names[source.key]) for source in sources[:MAX_OPERATIONS]]
        return Document(
            title=text(info.get("title")) or "Untitled API",
            version=label(info.get("version")),
            format=self._format,
            description=text(info.get("description"))[:_MAX_DESCRIPTION],
            servers=self._servers
            or _shared_servers([one.servers for one in operations if one])
            or (Server(url="/"),),
            schemes=self._schemes,
            operations=tuple(operation for operation in operations if operation is not None),
            findings=self._findings.all(),
        )

    def _operation_nodes(self) -> Iterator[_OperationNode]:
        paths = mapping(self._document.get("paths"))
        if not paths:
            self._findings.report("warning", "/paths", "the document has no paths, so it has no operations")
        external = []
        for path, node in paths.items():
            if path.startswith("x-"):
                continue
            if _is_external_reference(node):
                external.append(path)
                continue
            resolved = self._references.resolve(node, pointer("/paths", path))
            if resolved.fault or not isinstance(resolved.node, dict):
                fault = resolved.fault or "a path must be an object"
                self._findings.report(
                    "error", pointer("/paths", path), f"{fault}; its operations are left out"
                )
            item = mapping(resolved.node)
            for siblings in reversed(resolved.siblings):
                item = item | siblings
            for method in METHODS:
                if method in item:
                    place = pointer(resolved.place, method)
                    yield _OperationNode(method, path, Located(item, resolved.place), item[method], place)
            yield from self._additional_operations(path, Located(item, resolved.place))
        if external:
            message = f"{len(external)} of {len(paths)} paths are in other files, which are not fetched"
            self._findings.report(
                "error",
                pointer("/paths", external[0]),
                f"{message}: `{external[0][:80]}` for example; bundle the files into one document",
            )

    def _additional_operations(self, path: str, item: Located) -> Iterator[_OperationNode]:
        """Operations with other methods (OpenAPI 3.2)."""
        for method, node in mapping(item.node.get("additionalOperations")).items():
            place = pointer(item.place, "additionalOperations", method)
            if FIELD_NAME.fullmatch(method) and method.lower() not in METHODS:
                yield _OperationNode(method, path, item, node, place)
            else:
                message = f"`{method[:40]}` is not a method that can be added; the operation is left out"
                self._findings.report("error", place, message)

    def _operation(self, source: _OperationNode, tool_name: str) -> Operation | None:
        try:
            self._references.check_time()
            if not isinstance(source.node, dict):
                raise InvalidSpec("an operation must be an object")
            return self._read(source, Located(source.node, source.place), tool_name)
        except SmartSupportError as error:
            fault = error.message
        except Exception:  # an error in one operation must not affect the others
            log.exception("operation_not_parsed", operation=source.key[:200])
            fault = "it can't be parsed"
        self._findings.report("error", source.place, f"{source.key[:200]} is left out: {fault}")
        return None

    def _read(self, source: _OperationNode, operation: Located, tool_name: str) -> Operation:
        findings, node = Findings(), operation.node
        security = self._security(operation, findings)
        sources = collect_parameters(source.path, source.item, operation, self._references, findings)
        schemes = [self._schemes[name] for each in security for name in each if name in self._schemes]
        parameters = request_parameters(source.path, operation, sources, schemes, self._dialect, findings)
        body = self._dialect.body(operation, sources, findings)
        arguments = build_arguments(parameters, body, self._references, findings)
        servers = self._dialect.servers(operation) or self._dialect.servers(source.item)
        if servers and self._servers and servers[0].is_on_another_host(self._servers[0]):
            findings.report("warning", source.place, f"it has its own server: `{servers[0].url[:200]}`")
        return Operation(
            key=source.key,
            method=source.method.upper(),
            path=source.path,
            tool_name=tool_name,
            summary=text(node.get("summary")),
            description=text(node.get("description"))[:_MAX_DESCRIPTION],
            operation_id=text(node.get("operationId")),
            tags=tuple(text(tag) for tag in sequence(node.get("tags")) if text(tag)),
            deprecated=flag(node.get("deprecated")),
            parameters=arguments.parameters,
            body=arguments.body,
            schema=arguments.schema,
            result_schema=result_schema(node, self._document),
            security=security,
            servers=servers,
            keyed=any(
                each.node["in"] == "header" and is_idempotency_key(each.node["name"]) for each in sources
            ),
            findings=findings.all(),
        )

    def _security(self, operation: Located, findings: Findings) -> tuple[dict[str, list[str]], ...]:
        owner = operation if "security" in operation.node else Located(self._document, "")
        node = owner.node.get("security", [])
        return requirements(node, pointer(owner.place, "security"), self._schemes, findings)


def _is_external_reference(node: Any) -> bool:
    reference = mapping(node).get("$ref")
    return isinstance(reference, str) and not reference.startswith("#")


def _shared_servers(servers: list[tuple[Server, ...]]) -> tuple[Server, ...]:
    """The first operation's servers, if every operation has its own."""
    return servers[0] if servers and all(servers) else ()
