"""What a model is given of a large result, still JSON, and of a long conversation, every call answered."""

from collections.abc import Sequence
from typing import Any

import orjson
from langchain_core.messages import AnyMessage, HumanMessage, ToolMessage
from langchain_core.messages.utils import count_tokens_approximately

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


def fitting(history: Sequence[AnyMessage], max_tokens: int) -> list[AnyMessage]:
    """The newest of a conversation that fits: a call and its results together, or neither.

    Always in it, whatever its size: what the customer said last, and what came after that last. What is left
    begins with the customer, as some models insist on.

    Args:
        history: every call in it has its results right behind it.
        max_tokens: as estimated, at four characters a token.
    """
    steps = _steps(history)
    last_said = max((n for n, step in enumerate(steps) if isinstance(step[0], HumanMessage)), default=-1)
    kept = {last_said, len(steps) - 1} - {-1}
    left = max_tokens - sum(count_tokens_approximately(steps[n]) for n in kept)
    for number in range(len(steps) - 1, -1, -1):
        if number in kept:
            continue
        left -= count_tokens_approximately(steps[number])
        if left < 0:
            first = min((n for n in kept if isinstance(steps[n][0], HumanMessage)), default=0)
            kept = {n for n in kept if n >= first}
            break
        kept.add(number)
    return [message for number in sorted(kept) for message in steps[number]]


def _steps(history: Sequence[AnyMessage]) -> list[list[AnyMessage]]:
    """The messages, each with the results that answer it."""
    steps: list[list[AnyMessage]] = []
    for message in history:
        if isinstance(message, ToolMessage) and steps:
            steps[-1].append(message)
        else:
            steps.append([message])
    return steps


def _cut(value: Any, items: int, chars: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= chars else f"{value[:chars]}…"
    if isinstance(value, list):
        more = [f"… {len(value) - items} more"] if len(value) > items else []
        return [*(_cut(part, items, chars) for part in value[:items]), *more]
    if isinstance(value, dict):
        return {name: _cut(part, items, chars) for name, part in value.items()}
    return value
