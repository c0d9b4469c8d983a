"""Chooses and classifies the media type of a body."""

import re
from collections.abc import Iterable

from smart_support.connectors.openapi.request.encoding import essence, is_json

__all__ = ["FORM", "MULTIPART", "is_form", "is_text", "preferred"]

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

_TEXT = re.compile(r"text/.*|application/(.*\+)?(xml|yaml|x-yaml|graphql|javascript|sql|jwt|x-ndjson)")


def preferred(names: Iterable[str]) -> str:
    """The best of several media types: JSON, form, multipart, text, bytes. Empty if there is none."""
    return min(names, key=_rank, default="")


def is_form(media_type: str) -> bool:
    """Whether the media type is a form, whose value is an object of fields."""
    return essence(media_type) == FORM or essence(media_type).startswith("multipart/")


def is_text(media_type: str) -> bool:
    """Whether the media type is text, but neither JSON nor a form."""
    return bool(_TEXT.fullmatch(essence(media_type)))


def _rank(media_type: str) -> int:
    kind = essence(media_type)
    order = (
        kind == "application/json",
        is_json(kind) and "*" not in kind,
        is_json(kind),
        kind == FORM,
        kind.startswith("multipart/"),
        is_text(kind),
        "/" in kind,
    )
    return order.index(True) if True in order else len(order)
