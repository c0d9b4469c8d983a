"""Resolves references (`$ref`) within a document. Never fetches or opens anything."""

import time
from typing import Any, NamedTuple
from urllib.parse import unquote

from smart_support.connectors.openapi.document.nodes import mapping, pointer
from smart_support.connectors.openapi.document.reader import InvalidSpec

__all__ = ["References", "Resolved"]

_MAX_HOPS = 20
_MISSING = object()
_RESOLVED_PER_CHECK = 16  # reading the clock takes longer than resolving
_SECONDS = 20.0  # CPU time; the largest real document needs a fortieth


class Resolved(NamedTuple):
    """A node with all its references resolved.

    Attributes:
        node: an empty object if there is a `fault`.
        place: where the node is, as a JSON Pointer.
        visited: the references on the way, to detect recursion.
        siblings: the other keys siblings each `$ref` on the way, the outermost first.
        fault: why the reference can't be resolved, else empty.
    """

    node: Any
    place: str
    visited: tuple[str, ...] = ()
    siblings: tuple[dict[str, Any], ...] = ()
    fault: str = ""


class References:
    """The references of one document.

    Also limits the CPU time of the creating thread, so that a malicious document can't keep the parser busy
    for
    hours: everything that is read more than once goes through here.

    Attributes:
        inlined: a cache of inlining.py for this document.
    """

    def __init__(self, document: dict[str, Any], *, seconds: float = _SECONDS) -> None:
        self._document = document
        self.inlined: dict[tuple[Any, ...], Any] = {}
        self._targets: dict[str, tuple[Any, str]] = {}
        self._resolved = 0
        self._deadline = time.thread_time() + seconds

    def check_time(self) -> None:
        """
        Raises:
            InvalidSpec: the document takes too long.
        """
        if time.thread_time() > self._deadline:
            raise InvalidSpec("the document contains or repeats too much to be read in time")

    def resolve(self, node: Any, place: str) -> Resolved:
        """The node that a chain of references leads to.

        Raises:
            InvalidSpec: the document takes too long.
        """
        self._resolved += 1
        if not self._resolved % _RESOLVED_PER_CHECK:
            self.check_time()
        if not isinstance(node, dict) or "$ref" not in node:
            return Resolved(node, place)
        visited: list[str] = []
        siblings: list[dict[str, Any]] = []
        while isinstance(node, dict) and isinstance(reference := node.get("$ref"), str):
            others = {key: value for key, value in node.items() if key != "$ref"}
            siblings += [others] if others else []
            fault = self._fault(reference, visited)
            if fault:
                return Resolved({}, place, tuple(visited), tuple(siblings), fault)
            visited.append(reference)
            node, place = self._target(reference)
        return Resolved(node, place, tuple(visited), tuple(siblings))

    def _fault(self, reference: str, visited: list[str]) -> str:
        shown = reference[:100]
        if not reference.startswith("#"):
            return f"`{shown}` is in another file, which is not fetched; bundle the files into one"
        if reference in visited or len(visited) >= _MAX_HOPS:
            return f"`{shown}` refers to itself"
        if self._target(reference)[0] is _MISSING:
            return f"`{shown}` does not exist in this document"
        return ""

    def _target(self, reference: str) -> tuple[Any, str]:
        if reference not in self._targets:
            self._targets[reference] = self._look_up(reference)
        return self._targets[reference]

    def _look_up(self, reference: str) -> tuple[Any, str]:
        path = unquote(reference[1:])
        if path and not path.startswith("/"):
            return _MISSING, ""  # an anchor (JSON Schema 2020-12, 8.2.2); real documents don't use them
        node: Any = self._document
        place = ""
        for step in path.split("/")[1:]:
            token = step.replace("~1", "/").replace("~0", "~")
            node, place = _child(node, token), pointer(place, token)
        return node, place


def _child(node: Any, token: str) -> Any:
    if isinstance(node, list) and token.isascii() and token.isdigit() and int(token[:9]) < len(node):
        return node[int(token[:9])]
    return mapping(node).get(token, _MISSING)
