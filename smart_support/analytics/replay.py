"""Recorded conversations: events -> steps, numbered as on the socket. Nothing is run again here."""

from typing import Any

from smart_support import clock
from smart_support.errors import InvalidRequest, NotFound
from smart_support.events import Record, payload
from smart_support.storage.event_log import EventLog

LAST_SEQ = 2**62


class Replay:
    """Reads what was recorded of a thread."""

    def __init__(self, event_log: EventLog) -> None:
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
            raise NotFound(f"thread {thread_id[:128]!r}: nothing is recorded; see GET /api/v1/conversations")
        return [_step(record) for record in records]


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
