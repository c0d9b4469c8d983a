"""Chooses and classifies the media type of a body."""

import re
from collections.abc import Iterable
from functools import lru_cache

from smart_support.connectors.openapi.request.encoding import essence, is_json

__all__ = ["FORM", "MEDIA_TYPE", "MULTIPART", "is_form", "is_lines", "is_text", "preferred", "sendable"]

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

# RFC 9110, 8.3.1; in visible ASCII.
MEDIA_TYPE = re.compile(r"[\w!#$&^.+*-]+/[\w!#$&^.+*-]+( *;[ -~]*)?", re.ASCII)
_SHORT_NAMES = {
    "json": "application/json",
    "xml": "application/xml",
    "text": "text/plain",
    "form": FORM,
    "multipart": MULTIPART,
    "html": "text/html",
    "csv": "text/csv",
    "binary": "application/octet-stream",
}
_LINES = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
_TEXT = re.compile(r"text/.*|application/(.*\+)?(xml|yaml|x-yaml|graphql|javascript|sql|jwt|x-ndjson)")


def preferred(names: Iterable[str]) -> str:
    """The best of several media types: JSON, form, multipart, text, bytes. Empty if there is none."""
    ranked = list(names)
    return ranked[0] if len(ranked) == 1 else min(ranked, key=_rank, default="")


@lru_cache(maxsize=1_000)
def sendable(name: str) -> str:
    """The media type that a name in a description stands for; empty if it can't be sent.

    Some descriptions separate parameters by a comma (`application/json, version=1`), or write only `json`.
    """
    corrected = _SHORT_NAMES.get(name.strip().lower(), re.sub(r"\s*,\s*(?=[\w-]+=)", "; ", name.strip()))
    corrected = corrected.partition(",")[0].strip()
    return corrected if MEDIA_TYPE.fullmatch(corrected) else ""


def is_lines(media_type: str) -> bool:
    """Whether the media type is one JSON document a line."""
    return essence(media_type) in _LINES


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
