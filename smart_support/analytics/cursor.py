"""Pagination of the list of conversations with an opaque cursor."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from smart_support.errors import InvalidRequest
from smart_support.storage.state.base import Row


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


def next_cursor(rows: Sequence[Row], limit: int) -> str | None:
    """The cursor of the next page, or None. `rows` has one row more than `limit` if there is one."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return Cursor(last["started_at"], last["thread_id"]).encode()
