"""Compares a recorded conversation with its rehearsal, step by step."""

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any

import orjson

Step = Mapping[str, Any]
_COMPARED_TYPES = frozenset(
    {"message", "route", "tool_call", "tool_result", "interrupt", "decision", "escalation", "error"}
)
_COMPARED_FIELDS = (
    "type", "agent", "role", "content", "tool", "action", "args", "status", "outcome", "reason", "message",
)  # fmt: skip


def difference(recorded: Iterable[Step], rehearsed: Iterable[Step]) -> list[dict[str, Any]]:
    """Return the steps of both, each with a `mark`: `same`, `then` (recorded only) or `now` (rehearsed only).

    Ids, times and token counts are not compared. A step that is the same is the rehearsed one.
    """
    then, now = ([step for step in side if step["type"] in _COMPARED_TYPES] for side in (recorded, rehearsed))
    matcher = SequenceMatcher(a=[*map(_key, then)], b=[*map(_key, now)], autojunk=False)
    marked: list[dict[str, Any]] = []
    for tag, then_first, then_end, now_first, now_end in matcher.get_opcodes():
        if tag == "equal":
            marked += [{**step, "mark": "same"} for step in now[now_first:now_end]]
        else:
            marked += [{**step, "mark": "then"} for step in then[then_first:then_end]]
            marked += [{**step, "mark": "now"} for step in now[now_first:now_end]]
    return marked


def _key(step: Step) -> str:
    compared = {name: step.get(name) for name in _COMPARED_FIELDS}
    return orjson.dumps(compared, option=orjson.OPT_SORT_KEYS).decode()
