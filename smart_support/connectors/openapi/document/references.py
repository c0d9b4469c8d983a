"""Where a `$ref` leads. Only within the document: nothing is ever fetched or opened. What is found there is
the caller's business."""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from smart_support.connectors.openapi.document.nodes import mapping, pointer
from smart_support.connectors.openapi.document.reader import InvalidSpec

__all__ = ["Found", "References"]

_MAX_HOPS = 20
_NOT_A_TOKEN = object()
_SECONDS = 20.0  # of CPU time: forty times what the largest real document took


@dataclass(frozen=True, slots=True)
class Found:
    """A node after all its references.

    Attributes:
        node: the node; an empty object where `fault` says that it could not be had.
        place: where it stands, as a JSON Pointer.
        passed: the references on the way, for telling recursion.
        beside: what stood beside each `$ref` on the way, the outermost first.
        fault: what is wrong, else nothing.
    """

    node: Any
    place: str
    passed: tuple[str, ...] = ()
    beside: tuple[dict[str, Any], ...] = ()
    fault: str = ""


class References:
    """The references of one document.

    Everything that is read more than once is read through them, so they also see to it that a document made
    for it can't be read for hours: after so many CPU seconds of the thread that made them, there is no more.

    Attributes:
        written: what inlining.py has written out of it, kept with the document it came from.
    """

    def __init__(self, document: dict[str, Any], *, seconds: float = _SECONDS) -> None:
        self._document = document
        self.written: dict[tuple[Any, ...], Any] = {}
        self._targets: dict[str, tuple[Any, str]] = {}
        self._end = time.thread_time() + seconds

    def check_effort(self) -> None:
        """
        Raises:
            InvalidSpec: the document has taken too long.
        """
        if time.thread_time() > self._end:
            raise InvalidSpec("the document holds or repeats too much to be read in time")

    def follow(self, node: Any, place: str) -> Found:
        """The node, or what it refers to, through as many references as there are.

        Raises:
            InvalidSpec: the document has taken too long.
        """
        self.check_effort()
        passed: list[str] = []
        beside: list[dict[str, Any]] = []
        while isinstance(node, dict) and isinstance(reference := node.get("$ref"), str):
            others = {key: value for key, value in node.items() if key != "$ref"}
            beside += [others] if others else []
            fault = self._fault(reference, passed)
            if fault:
                return Found({}, place, tuple(passed), tuple(beside), fault)
            passed.append(reference)
            node, place = self._target(reference)
        return Found(node, place, tuple(passed), tuple(beside))

    def _fault(self, reference: str, passed: list[str]) -> str:
        shown = reference[:100]
        if not reference.startswith("#"):
            return f"`{shown}` is another file, which is not fetched (bundle them into one)"
        if reference in passed or len(passed) >= _MAX_HOPS:
            return f"`{shown}` refers to itself"
        if self._target(reference)[0] is _NOT_A_TOKEN:
            return f"`{shown}` leads nowhere in this document"
        return ""

    def _target(self, reference: str) -> tuple[Any, str]:
        if reference not in self._targets:
            self._targets[reference] = self._looked_up(reference)
        return self._targets[reference]

    def _looked_up(self, reference: str) -> tuple[Any, str]:
        path = unquote(reference[1:])
        if path and not path.startswith("/"):
            return _NOT_A_TOKEN, ""  # an anchor (JSON Schema 2020-12, 8.2.2); no real document used one
        node: Any = self._document
        place = ""
        for step in path.split("/")[1:]:
            token = step.replace("~1", "/").replace("~0", "~")
            node, place = _child(node, token), pointer(place, token)
        return node, place


def _child(node: Any, token: str) -> Any:
    if isinstance(node, list) and token.isascii() and token.isdigit() and int(token[:9]) < len(node):
        return node[int(token[:9])]
    return mapping(node).get(token, _NOT_A_TOKEN)
