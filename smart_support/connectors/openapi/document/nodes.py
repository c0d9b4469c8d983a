"""The nodes of a document nobody has checked, each read as what it should be; all else reads as empty."""

from typing import Any

__all__ = ["flag", "label", "mapping", "pointer", "sequence", "text"]


def mapping(node: Any) -> dict[str, Any]:
    """The node where it is an object, else an empty one."""
    return node if isinstance(node, dict) else {}


def sequence(node: Any) -> list[Any]:
    """The node where it is an array, else an empty one."""
    return node if isinstance(node, list) else []


def text(node: Any) -> str:
    """The node where it is text, without white space around it, else nothing."""
    return node.strip() if isinstance(node, str) else ""


def label(node: Any) -> str:
    """As `text`, but a number is text as well: YAML reads `version: 1.0` as one."""
    if isinstance(node, int | float) and not isinstance(node, bool):
        return str(node)
    return text(node)


def flag(node: Any) -> bool:
    """Whether the node is true; so is the text `true`, which some generators write."""
    return node is True or node == "true"


def pointer(place: str, *tokens: str | int) -> str:
    """A JSON Pointer (RFC 6901) that leads on from `place` by these tokens."""
    steps = (str(token).replace("~", "~0").replace("/", "~1") for token in tokens)
    return "/".join([place, *steps])
