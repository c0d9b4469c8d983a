"""Time and ids. Everything that asks what time it is asks here, so that a test can move it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils

_offset = timedelta(0)


def now() -> datetime:
    """The current time in UTC, with microseconds."""
    return datetime.now(UTC) + _offset


def advance(seconds: float) -> None:
    """Move the clock forward for everyone in this process. For tests."""
    global _offset
    _offset += timedelta(seconds=seconds)


def reset() -> None:
    """Undo every `advance`. For tests."""
    global _offset
    _offset = timedelta(0)


def rfc3339(moment: datetime) -> str:
    """`2026-11-23T09:13:03.120000Z`: RFC 3339 in UTC, of one width, so that text sorts as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> datetime:
    """The moment an RFC 3339 text names; one without an offset is read as UTC.

    Raises:
        ValueError: the text is not a date and time.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def new_id() -> str:
    """A UUIDv7 (RFC 9562): unique, and in the order of time when sorted as text."""
    return str(uuid_utils.uuid7())


def id_time(identifier: str) -> datetime:
    """When a UUIDv7 was made, to the millisecond."""
    return datetime.fromtimestamp((UUID(identifier).int >> 80) / 1000, UTC)
