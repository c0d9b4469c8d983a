"""Words a tool's description for the model from those of its operation, within a budget."""

import re

from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.schema.keywords import shortened

__all__ = ["tool_description"]

_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")


def tool_description(operation: Operation, longest: int) -> tuple[str, int]:
    """The summary, the description's paragraphs that fit, and what is said of the body.

    The first paragraph is always there, if necessary cut: it says when the operation may be used.

    Args:
        longest: the budget in characters.

    Returns:
        the description, and the number of characters that it would have without a budget.
    """
    summary = _without_tags(operation.summary).rstrip(".")
    paragraphs = [_without_tags(one) for one in re.split(r"\n[ \t\r]*\n", operation.description)]
    paragraphs = [one for one in paragraphs if one]
    if paragraphs and paragraphs[0].lower().startswith(summary.lower()):
        summary = ""
    if operation.body and operation.body.properties:
        body_description = operation.body.schema.get("description")
        if isinstance(body_description, str) and body_description.strip():
            paragraphs.append(f"Body: {_without_tags(body_description)}")
    text = ". ".join([*([summary] if summary else []), *paragraphs[:1]]) or operation.key
    length = len(text) + sum(1 + len(one) for one in paragraphs[1:])
    text = shortened(text, longest)
    for paragraph in paragraphs[1:]:
        if len(text) + 1 + len(paragraph) <= longest:
            text += f" {paragraph}"
    return text, length


def _without_tags(text: str) -> str:
    return " ".join((_TAG.sub(" ", text) if "<" in text else text).split())
