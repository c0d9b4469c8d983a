"""The outcome of a tool call, and its text within the size that a model is given."""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from smart_support.events import Escalation
from smart_support.text import clean_text

MODEL_CHARS = 8_000
KEPT_CHARS = 200_000
# Ever smaller: how many items of a list and characters of a text are left of a large result.
_SMALLER = ((50, 2_000), (20, 500), (8, 200), (3, 100), (1, 50))

ResultStatus = Literal["ok", "error", "rejected", "expired", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """The result of a tool call, or why it was refused.

    Attributes:
        agent: the caller's name.
        text: what the caller is given, at most `MODEL_CHARS` characters of the tool's result.
        is_final: `text` can be shown to a customer as it is.
        value: the tool's result as it is, as JSON values; None where there is none.
        whole: the complete result for the record, at most `KEPT_CHARS` characters; None where `text` is all.
        approval_id: the approval that this call has used up.
        policy: the reason of the policy rule that let a write run without a human.
        reason: why a call was rejected, as a word for programs: `frozen`.
        error_class: why it failed; see `errors.SmartSupportError.error_class`.
        has_failed: the tool broke or did not answer. A refusal by a rule is no failure.
        is_forbidden: the policy forbids it, so that nobody was asked.
        is_unknown: a write was begun, and it is not known whether it took effect.
        escalation: a human was notified because of this call.
    """

    tool_call_id: str
    tool: str
    agent: str
    status: ResultStatus
    text: str
    is_final: bool = False
    whole: str | None = None
    duration_ms: float | None = None
    customer_id: str | None = None
    approval_id: str | None = None
    policy: str | None = None
    reason: str | None = None
    error_class: str | None = None
    has_failed: bool = False
    is_forbidden: bool = False
    is_unknown: bool = False
    value: Any = None
    escalation: Escalation | None = None

    def __post_init__(self) -> None:
        # A tool's words may hold what neither Postgres nor JSON takes.
        object.__setattr__(self, "text", clean_text(self.text))


def refusal_text(tool: str, outcome: str, by: str | None = None, after: str | None = None) -> str:
    """What a caller is told of a call that nobody approved.

    Args:
        outcome: `rejected`, `expired`, `withdrawn`, `skipped` or `taken`.
        by: who decided so, or has taken the conversation.
        after: with `skipped`: the call that was not approved.
    """
    return {
        "rejected": f"{tool} was rejected" + (f" by {by}" if by else "") + " and was not carried out.",
        "expired": f"Nobody decided on {tool} in time, so it was not carried out. "
        "The customer may ask again; that makes a new request.",
        "withdrawn": f"The customer withdrew {tool}, so it was not carried out.",
        "skipped": f"{tool} was skipped, because {after} before it was not approved.",
        "taken": f"{tool} was not carried out, because {by} has taken over the conversation.",
    }[outcome]


def as_text(result: Any) -> str:
    """A tool's result as text: its own, or JSON."""
    return result if isinstance(result, str) else orjson.dumps(result, default=str).decode()


def trimmed(result: Any, limit: int = MODEL_CHARS) -> str:
    """The result within `limit` characters, still JSON; lists and texts are cut where they are longest."""
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


def text_and_whole(result: Any) -> tuple[str, str | None]:
    """A tool's result as `CallResult.text` and `CallResult.whole`."""
    text = as_text(result)
    if len(text) <= MODEL_CHARS:
        return text, None
    if len(text) > KEPT_CHARS:
        note = f"… (The first {KEPT_CHARS:,} of {len(text):,} characters; the rest was not kept.)"
        return trimmed(result), f"{text[:KEPT_CHARS]}{note}"
    return trimmed(result), text


def _cut(value: Any, items: int, chars: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= chars else f"{value[:chars]}…"
    if isinstance(value, list):
        more = [f"… {len(value) - items} more"] if len(value) > items else []
        return [*(_cut(part, items, chars) for part in value[:items]), *more]
    if isinstance(value, dict):
        return {name: _cut(part, items, chars) for name, part in value.items()}
    return value
