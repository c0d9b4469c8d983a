"""Recorded conversations: events -> steps, numbered as on the socket. Nothing is run again here."""

from collections.abc import AsyncIterator
from typing import Any

import orjson

from smart_support import clock
from smart_support.analytics.query_files import statement
from smart_support.analytics.series import wire
from smart_support.errors import InvalidRequest, NotFound
from smart_support.events import Record, payload
from smart_support.storage.events.base import EventStore

LAST_SEQ = 2**62
PAGE = 50  # steps of a page of the outline
AT_ONCE = 1_000
_UNKNOWN = "thread {!r}: nothing is recorded; see GET /api/v1/conversations"


class Replay:
    """Reads what was recorded of a thread."""

    def __init__(self, event_log: EventStore) -> None:
        self._log = event_log

    async def steps(self, thread_id: str, after: int = 0, limit: int = 200) -> list[dict[str, Any]]:
        """The steps of a thread with `seq` above `after`, in order, at most `limit`.

        A spoken message is one step with the number of its last token; `first_seq` is that of its first.

        Raises:
            InvalidRequest: `after` is below 0, or `limit` below 1.
            NotFound: nothing was ever recorded of that thread.
        """
        if not 0 <= after <= LAST_SEQ or limit < 1:
            raise InvalidRequest(f"after {after} is not a step's seq, or limit {limit} is below 1")
        records = await self._log.read(thread_id, after, min(limit, LAST_SEQ))
        if not records and not (after > 0 and await self._log.read(thread_id, 0, 1)):
            raise NotFound(_UNKNOWN.format(thread_id[:128]))
        return [_step(record) for record in records]

    async def whole(self, thread_id: str) -> AsyncIterator[list[dict[str, Any]]]:
        """All steps of a thread, some at a time, so that a long one is never in memory at once.

        Raises:
            NotFound: nothing was ever recorded of that thread.
        """
        after: int | None = 0
        while after is not None:
            steps = await self.steps(thread_id, after, AT_ONCE)
            if steps:
                yield steps
            after = steps[-1]["seq"] if len(steps) == AT_ONCE else None

    async def outline(self, thread_id: str, q: str | None = None) -> dict[str, Any]:
        """A thread without its content: any of its steps can be gone to without reading all before it.

        Args:
            q: also where this text stands, in either case.

        Returns:
            `steps`, how many; `pages`, of `page` steps each, as the `after` with which each begins;
            `started_at`, `channels`, `messages` of the customer, `tokens` and `cost_usd`; and the places,
            counted from 1, of what `failed`, of `approvals` asked for, of `escalations`, and of what was
            `found` (null without `q`).

        Raises:
            NotFound: nothing was ever recorded of that thread.
        """
        q_json = orjson.dumps(q)[1:-1].decode() if q else None
        params = {"thread_id": thread_id, "page": PAGE, "q": q or None, "q_json": q_json}
        (row,) = await self._log.query(statement("outline"), params)
        steps, ends = row["steps"], row.pop("ends") or []
        if not steps:
            raise NotFound(_UNKNOWN.format(thread_id[:128]))
        # No page begins behind the last step.
        told = {"page": PAGE, "pages": [0, *ends][: -(-steps // PAGE)], "started_at": wire(row["started_at"])}
        lists = ("channels", "failed", "approvals", "escalations", *(["found"] if q else []))
        return row | told | {name: row[name] or [] for name in lists}


def _step(record: Record) -> dict[str, Any]:
    place = {
        "seq": record.seq,
        "first_seq": record.first_seq,
        "type": record.event.type,
        "at": clock.rfc3339(record.happened_at),
        "turn_id": record.turn_id,
        "channel": record.channel,
        "agent": None,
    }
    return place | payload(record.event)
