"""Reads recorded conversations as steps, with the sequence numbers of the WebSocket. Runs nothing."""

import unicodedata
from collections.abc import AsyncIterator
from typing import Any

import orjson

from smart_support import clock
from smart_support.analytics.query_files import load_query
from smart_support.analytics.series import as_rfc3339
from smart_support.errors import InvalidRequest, NotFound
from smart_support.events import Record, payload
from smart_support.storage.events.base import EventStore

LAST_SEQ = 2**53 - 1  # the largest number that every reader of JSON holds exactly
PAGE = 50  # steps per page of the outline
BATCH = 1_000
_UNKNOWN = "Conversation {!r} doesn't exist or was deleted; see GET /api/v1/conversations."


class Replay:
    """Reads the recorded steps of a thread."""

    def __init__(self, event_log: EventStore) -> None:
        self._log = event_log

    async def steps(self, thread_id: str, after: int = 0, limit: int = 200) -> list[dict[str, Any]]:
        """The steps of a thread with `seq` above `after`, in order, at most `limit`.

        A streamed message is one step: `seq` is the number of its last token, `first_seq` of its first.

        Raises:
            InvalidRequest: `after` is below 0, or `limit` below 1.
            NotFound: nothing is recorded of that thread.
        """
        if not 0 <= after <= LAST_SEQ or limit < 1:
            raise InvalidRequest(f"after must be at least 0 and limit at least 1, not {after} and {limit}")
        records = await self._log.read(thread_id, after, min(limit, LAST_SEQ))
        if not records and not (after > 0 and await self._log.read(thread_id, 0, 1)):
            raise NotFound(_UNKNOWN.format(thread_id[:128]))
        return [_step(record) for record in records]

    async def batches(self, thread_id: str) -> AsyncIterator[list[dict[str, Any]]]:
        """All steps of a thread in batches, so that a long thread is never in memory as a whole.

        Raises:
            NotFound: nothing is recorded of that thread.
        """
        after: int | None = 0
        while after is not None:
            steps = await self.steps(thread_id, after, BATCH)
            if steps:
                yield steps
            after = steps[-1]["seq"] if len(steps) == BATCH else None

    async def outline(self, thread_id: str, q: str | None = None) -> dict[str, Any]:
        """An overview of a thread without its content, for jumping to any step.

        Args:
            q: search for this text, ignoring case and accents.

        Returns:
            `steps`: their number; `pages`: the `after` parameter of each page of `page` steps; `started_at`,
            `channels`, `messages` (the customer's), `tokens` and `cost_usd`; and the positions, from 1, of
            `failed` steps, `approvals`, `escalations` and search results (`found`; null without `q`).

        Raises:
            NotFound: nothing is recorded of that thread.
        """
        search = unicodedata.normalize("NFKC", q) if q else None
        q_json = orjson.dumps(search)[1:-1].decode() if search else None
        params = {"thread_id": thread_id, "page": PAGE, "q": search, "q_json": q_json}
        (row,) = await self._log.query(load_query("replay_outline"), params)
        steps, ends = row["steps"], row.pop("ends") or []
        if not steps:
            raise NotFound(_UNKNOWN.format(thread_id[:128]))
        # No page starts after the last step.
        overview = {
            "page": PAGE,
            "pages": [0, *ends][: -(-steps // PAGE)],
            "started_at": as_rfc3339(row["started_at"]),
        }
        lists = ("channels", "failed", "approvals", "escalations", *(["found"] if q else []))
        return row | overview | {name: row[name] or [] for name in lists}


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
