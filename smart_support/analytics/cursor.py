"""Pagination of the list of conversations with an opaque cursor."""

import base64
import binascii
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from smart_support.errors import InvalidRequest
from smart_support.storage.state.base import Row

NO_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last conversation of a page: the next page starts after it. Neither field ever changes."""

    started_at: datetime
    thread_id: str

    def encode(self) -> str:
        """The cursor as an opaque string."""
        encoded = orjson.dumps([self.started_at.isoformat(), self.thread_id])
        return base64.urlsafe_b64encode(encoded).decode().rstrip("=")

    @classmethod
    def decode(cls, cursor: str | None) -> "Cursor | None":
        """The cursor that `encode` returned.

        Raises:
            InvalidRequest: it is not a valid cursor.
        """
        if cursor is None:
            return None
        try:
            encoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            started_at, thread_id = orjson.loads(encoded)
            decoded: Cursor | None = cls(datetime.fromisoformat(started_at), str(thread_id))
        except (binascii.Error, ValueError, TypeError):
            decoded = None
        if decoded is None or decoded.started_at.tzinfo is not None:
            raise InvalidRequest(
                f"cursor {cursor[:40]!r} is not valid; pass next_cursor unchanged, or leave it out"
            )
        return decoded


def page_parameters(
    filters: Mapping[str, Any], q: str | None, limit: int, after: Cursor | None, *, by_outcome: bool
) -> dict[str, Any]:
    """The parameters of `queries/conversations.sql` that bound a page.

    Args:
        filters: parameters of the filters on events; null for an unused one.
        by_outcome: there is a filter on status or outcome, so these must be computed for all conversations.
    """
    # Full-width letters, ligatures and the like as the letters that most texts have; SQL folds the rest.
    search = unicodedata.normalize("NFKC", q) if q else None
    return {
        **filters,
        "after_at": after.started_at if after else None,
        "after_id": after.thread_id if after else None,
        "q": search,
        "q_json": orjson.dumps(search)[1:-1].decode() if search else None,
        "candidates": NO_LIMIT if by_outcome else limit + 1,
        "all_conversations": by_outcome
        and search is None
        and all(value is None for value in filters.values()),
        "rows": limit + 1,
    }


def next_cursor(rows: Sequence[Row], limit: int) -> str | None:
    """The cursor of the next page, or None. `rows` has one row more than `limit` if there is one."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return Cursor(last["started_at"], last["thread_id"]).encode()
