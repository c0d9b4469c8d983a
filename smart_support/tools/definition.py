"""What a tool is, in words by name: two versions of it can be compared line by line.

A name is a word such as `path`, or `argument NAME`. Where all names and words are equal, the tools are equal.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

Definition = Mapping[str, str]
# A digest of all that the other lines don't say word by word.
DETAILS = "details"
_MAX_WORDS = 600
_CONTEXT = 60


def version_of(definition: Definition) -> str:
    """The version of the tool that this defines: 16 hexadecimal digits, other ones for other words."""
    return hashlib.sha256(orjson.dumps(dict(definition), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def target_of(definition: Definition | None) -> dict[str, str] | None:
    """Where a call goes, for its card: `{"method", "url"}`.

    No field is named `path`: gradio_client takes any object with one for a file, and downloads it.
    """
    if not definition or "method" not in definition:
        return None
    url = f"{definition.get('server', '').rstrip('/')}{definition.get('path', '')}"
    return {"method": definition["method"], "url": url}


def differences(before: Definition, after: Definition) -> list[dict[str, str]]:
    """What differs, as lines `{"subject", "field", "before", "after"}`; empty where the tools are equal."""
    names = [name for name in {**before, **after} if name != DETAILS]
    lines = [
        _line(name, *_shortened(before.get(name, ""), after.get(name, "")))
        for name in names
        if before.get(name) != after.get(name)
    ]
    if not lines and before.get(DETAILS) != after.get(DETAILS):
        return [_line("how its arguments are sent", "as before", "in another way")]
    return lines


def _line(name: str, before: str, after: str) -> dict[str, str]:
    field, _, subject = name.partition(" ") if name.startswith("argument ") else (name, "", "")
    return {"subject": subject, "field": field, "before": before, "after": after}


def _shortened(before: str, after: str) -> tuple[str, str]:
    """Both texts; of long ones the part in which they differ."""
    if max(len(before), len(after)) <= _MAX_WORDS:
        return before, after
    pairs = zip(before, after, strict=False)
    same = next(
        (place for place, (one, other) in enumerate(pairs) if one != other), min(len(before), len(after))
    )
    start = max(0, same - _CONTEXT)
    return _cut(before, start), _cut(after, start)


def _cut(text: str, start: int) -> str:
    part = text[start : start + _MAX_WORDS]
    return f"{'…' if start else ''}{part}{'…' if start + _MAX_WORDS < len(text) else ''}"


def value_differences(before: Any, after: Any, place: str = "") -> list[dict[str, str]]:
    """The differences of two JSON values, as lines as in `differences`; `field` is the place in the value."""
    if before == after and type(before) is type(after):
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        names = {**before, **after}
        return [
            line
            for name in names
            for line in _member_differences(before, after, name, f"{place} {name}".strip())
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True), 1)
        return [line for at, pair in pairs for line in value_differences(*pair, f"{place} {at}".strip())]
    return [_line(place, *_shortened(_words(before), _words(after)))]


def _member_differences(
    before: dict[str, Any], after: dict[str, Any], name: str, place: str
) -> list[dict[str, str]]:
    if name not in before or name not in after:
        words = [_words(part[name]) if name in part else "" for part in (before, after)]
        return [_line(place, *_shortened(*words))]
    return value_differences(before[name], after[name], place)


def _words(value: Any) -> str:
    return value if isinstance(value, str) and value else orjson.dumps(value).decode()
