"""The audit trail: append-only rows, each one's hash over the row before it. It judges nobody."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import rfc8785

from smart_support import clock
from smart_support.storage.database import Connection

GENESIS = "0" * 64
_COVERED = (
    "number",
    "at",
    "kind",
    "actor",
    "via",
    "thread_id",
    "approval_id",
    "event_id",
    "digest",
    "detail",
)


def append(
    connection: Connection,
    kind: str,
    *,
    actor: str,
    via: str,
    thread_id: str | None = None,
    approval_id: str | None = None,
    digest: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> str:
    """Write one row in the caller's transaction, so that it stands exactly when the fact does.

    Args:
        kind: what happened: `requested`, `decided`, `execution_begun`, `execution_ended`.
        actor: who did it; `via`: the door it came through.
        detail: more facts, as JSON.

    Returns:
        The id for the event that tells of this fact; the row is that event's outbox.
    """
    last = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")
    row = {
        "number": last[0]["number"] + 1 if last else 1,
        "at": clock.rfc3339(clock.now()),
        "kind": kind,
        "actor": actor,
        "via": via,
        "thread_id": thread_id,
        "approval_id": approval_id,
        "event_id": clock.new_id(),
        "digest": digest,
        "detail": rfc8785.dumps(dict(detail or {})).decode(),
    }
    row["hash"] = chained(last[0]["hash"] if last else GENESIS, row)
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO audit ({names}) VALUES ({values})", row)
    return str(row["event_id"])


def chained(previous: str, row: Mapping[str, Any]) -> str:
    """SHA-256 over the previous row's hash and this row's canonical JSON, in hexadecimal."""
    body = rfc8785.dumps({name: row[name] for name in _COVERED})
    return hashlib.sha256(previous.encode() + body).hexdigest()


def first_broken(rows: Iterable[Mapping[str, Any]]) -> int | None:
    """The number of the first row that does not follow from the one before it, or None."""
    previous, expected = GENESIS, 1
    for row in rows:
        if row["number"] != expected or chained(previous, row) != row["hash"]:
            return int(row["number"])
        previous, expected = row["hash"], expected + 1
    return None
