"""The columns of the `events` table, and how a record becomes a row of it and back."""

import math
from datetime import UTC
from typing import Any

import orjson

from smart_support import events
from smart_support.events import Event, Record
from smart_support.storage.state.base import Row

# Columns that hold the event's field of the same name, where it has one.
EVENT_FIELDS = (
    *("agent", "role", "tool", "tool_call_id", "status", "approval_id", "outcome", "decided_by"),
    *("model", "duration_ms", "first_token_ms", "code", "error_class", "policy", "kind"),
)
COLUMN_TYPES = {
    "event_id": "UUID",
    "thread_id": "VARCHAR",
    "turn_id": "UUID",
    "first_seq": "BIGINT",
    "seq": "BIGINT",
    "happened_at": "TIMESTAMP",
    "type": "VARCHAR",
    "channel": "VARCHAR",
    "customer_id": "VARCHAR",
    "caller": "VARCHAR",
    **dict.fromkeys(EVENT_FIELDS, "VARCHAR"),
    "duration_ms": "DOUBLE",
    "first_token_ms": "DOUBLE",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cost_usd": "DOUBLE",
    "payload": "VARCHAR",
}
TEXT_COLUMNS = tuple(name for name, type_ in COLUMN_TYPES.items() if type_ == "VARCHAR" and name != "payload")
# The largest float below 2**63, the limit of a BIGINT column.
_MAX_COUNT = 2**63 - 1024


def as_row(record: Record) -> Row:
    """A record as a row: values by column name, the time as ISO 8601 in UTC without offset."""
    fields = events.payload(record.event)
    usage = fields.get("usage") or {}
    return {
        "event_id": record.event_id,
        "thread_id": record.thread_id,
        "turn_id": record.turn_id,
        "first_seq": record.first_seq,
        "seq": record.seq,
        "happened_at": record.happened_at.astimezone(UTC).replace(tzinfo=None).isoformat(),
        "type": record.event.type,
        "channel": record.channel,
        "customer_id": record.customer_id,
        "caller": record.caller,
        **{name: fields.get(name) for name in EVENT_FIELDS},
        "tool": fields.get("tool") or fields.get("action"),
        # Why a turn did not end well: the code of an error, or why its answer is not a whole one.
        "code": fields.get("code") or fields.get("incomplete"),
        "duration_ms": _number(fields.get("duration_ms")),
        "first_token_ms": _number(fields.get("first_token_ms")),
        "input_tokens": _count(usage.get("input_tokens")),
        "output_tokens": _count(usage.get("output_tokens")),
        "cost_usd": _number(usage.get("cost_usd")),
        "payload": orjson.dumps(fields).decode(),
    }


def as_record(row: Row) -> Record:
    """The record of a row. The columns that are derived from the payload are not needed."""
    event: Event = events.from_payload(row["type"], orjson.loads(row["payload"]))
    return Record(
        thread_id=row["thread_id"],
        seq=row["seq"],
        event=event,
        first_seq=row["first_seq"],
        turn_id=str(row["turn_id"]) if row["turn_id"] else None,
        channel=row["channel"],
        customer_id=row["customer_id"],
        event_id=str(row["event_id"]),
        happened_at=row["happened_at"].replace(tzinfo=UTC),
    )


def _number(value: Any) -> float | None:
    """A value for a numeric column. Other types, as foreign graphs may give, stay in the payload only."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and 0 <= number <= _MAX_COUNT else None
