"""Pages of the list of conversations: a place in its order, as an opaque cursor. No query is made here."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from smart_support.errors import InvalidRequest
from smart_support.storage.state.base import Row

EVERYTHING = 2**62


@dataclass(frozen=True, slots=True)
class Place:
    """The last conversation of a page: the next one starts after it. Both parts never change."""

    started_at: datetime
    thread_id: str

    def cursor(self) -> str:
        """The place as a text that callers hand back unread."""
        plain = orjson.dumps([self.started_at.isoformat(), self.thread_id])
        return base64.urlsafe_b64encode(plain).decode().rstrip("=")

    @classmethod
    def read(cls, cursor: str | None) -> "Place | None":
        """The place a cursor names.

        Raises:
            InvalidRequest: it is none that was given out.
        """
        if cursor is None:
            return None
        try:
            plain = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            started_at, thread_id = orjson.loads(plain)
            place = cls(datetime.fromisoformat(started_at), str(thread_id))
        except (binascii.Error, ValueError, TypeError):
            place = None
        if place is None or place.started_at.tzinfo is not None:
            raise InvalidRequest(
                f"cursor {cursor[:40]!r} was never given out; take next_cursor as it came, or leave it out"
            )
        return place


def page_params(
    narrowed: Mapping[str, Any], q: str | None, limit: int, after: Place | None, *, judged: bool
) -> dict[str, Any]:
    """The parameters of `queries/conversations.sql` that bound a page.

    Args:
        narrowed: filters by what happened, each null where it is not asked for.
        judged: a filter looks at the judgement, so that all must be judged to fill the page.
    """
    needle = q or None
    return {
        **narrowed,
        "after_at": after.started_at if after else None,
        "after_id": after.thread_id if after else None,
        "q": needle,
        "q_json": orjson.dumps(needle)[1:-1].decode() if needle else None,
        "candidates": EVERYTHING if judged else limit + 1,
        "judge_all": judged and needle is None and all(value is None for value in narrowed.values()),
        "rows": limit + 1,
    }


def next_place(rows: Sequence[Row], limit: int) -> str | None:
    """The cursor after a page of `limit`, if `rows` holds one more."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return Place(last["started_at"], last["thread_id"]).cursor()
