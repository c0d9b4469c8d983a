"""Which of several media types is sent, and what its values are to a tool."""

import re
from collections.abc import Iterable

from smart_support.connectors.openapi.request.encoding import essence, is_json

__all__ = ["FORM", "MULTIPART", "is_form", "is_text", "preferred"]

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

_TEXT = re.compile(r"text/.*|application/(.*\+)?(xml|yaml|x-yaml|graphql|javascript|sql|jwt|x-ndjson)")


def preferred(names: Iterable[str]) -> str:
    """JSON before forms before multipart before text before bytes; nothing where there is none."""
    return min(names, key=_rank, default="")


def is_form(media_type: str) -> bool:
    """Whether its values are objects of fields."""
    return essence(media_type) == FORM or essence(media_type).startswith("multipart/")


def is_text(media_type: str) -> bool:
    """Whether it is written as text that is neither JSON nor a form."""
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
