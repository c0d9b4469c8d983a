"""Time and ids. All code takes the time from here, so that tests can change it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils

_offset = timedelta(0)


def now() -> datetime:
    """The current time in UTC, with microseconds."""
    return datetime.now(UTC) + _offset


def advance(seconds: float) -> None:
    """Move the clock of this process forward. For tests."""
    global _offset
    _offset += timedelta(seconds=seconds)


def reset() -> None:
    """Undo every `advance`. For tests."""
    global _offset
    _offset = timedelta(0)


def rfc3339(time: datetime) -> str:
    """`2026-11-23T09:13:03.120000Z`: RFC 3339 in UTC with a fixed width, so that the text sorts by time."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> datetime:
    """The time of an RFC 3339 text. Without an offset it is in UTC.

    Raises:
        ValueError: the text is not a date and time.
    """
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def new_id() -> str:
    """A UUIDv7 (RFC 9562): unique, and sorted by time when sorted as text."""
    return str(uuid_utils.uuid7())


def id_time(identifier: str) -> datetime:
    """The time at which a UUIDv7 was created, to the millisecond."""
    return datetime.fromtimestamp((UUID(identifier).int >> 80) / 1000, UTC)
