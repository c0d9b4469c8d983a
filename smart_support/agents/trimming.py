"""What a model is given of a large result: all that fits, still JSON, with a note of what was left out."""

from typing import Any

import orjson

MODEL_CHARS = 8_000
KEPT_CHARS = 200_000
_SMALLER = ((50, 2_000), (20, 500), (8, 200), (3, 100), (1, 50))


def as_text(result: Any) -> str:
    """A result as text: its own, or JSON."""
    return result if isinstance(result, str) else orjson.dumps(result, default=str).decode()


def trimmed(result: Any, limit: int = MODEL_CHARS) -> str:
    """The result within `limit` characters; lists and texts are cut first where they are longest."""
    text = as_text(result)
    if len(text) <= limit:
        return text
    note = f"Left out: this is a part of {len(text)} characters; ask for less to see all of it."
    if isinstance(result, str):
        return f"{text[:limit]}… {note}"
    for items, chars in _SMALLER:
        smaller = as_text({"note": note, "result": _cut(result, items, chars)})
        if len(smaller) <= limit:
            return smaller
    return as_text({"note": note, "result": f"{text[: limit // 2]}…"})


def _cut(value: Any, items: int, chars: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= chars else f"{value[:chars]}…"
    if isinstance(value, list):
        more = [f"… {len(value) - items} more"] if len(value) > items else []
        return [*(_cut(part, items, chars) for part in value[:items]), *more]
    if isinstance(value, dict):
        return {name: _cut(part, items, chars) for name, part in value.items()}
    return value
