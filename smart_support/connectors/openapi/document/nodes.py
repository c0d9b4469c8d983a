"""Reads the nodes of an unvalidated document: a node of the wrong type reads as empty."""

from typing import Any

__all__ = ["flag", "label", "mapping", "pointer", "sequence", "text"]


def mapping(node: Any) -> dict[str, Any]:
    """The node if it is an object, else an empty one."""
    return node if isinstance(node, dict) else {}


def sequence(node: Any) -> list[Any]:
    """The node if it is an array, else an empty one."""
    return node if isinstance(node, list) else []


def text(node: Any) -> str:
    """The node, stripped, if it is a string, else an empty one."""
    return node.strip() if isinstance(node, str) else ""


def label(node: Any) -> str:
    """As `text`, but also accepts numbers: YAML parses `version: 1.0` as one."""
    if isinstance(node, int | float) and not isinstance(node, bool):
        return str(node)
    return text(node)


def flag(node: Any) -> bool:
    """Whether the node is true, or the string `true`, which some generators write."""
    return node is True or node == "true"


def pointer(place: str, *tokens: str | int) -> str:
    """The JSON Pointer (RFC 6901) `place`, extended by tokens."""
    for token in tokens:
        step = str(token)
        if "~" in step or "/" in step:
            step = step.replace("~", "~0").replace("/", "~1")
        place = f"{place}/{step}"
    return place
