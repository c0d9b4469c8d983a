"""Time ranges: a named range, or `since` and `until`."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smart_support import clock
from smart_support.errors import InvalidRequest

NAMED = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
ALLOWED = (*NAMED, "all")
DEFAULT = "7d"
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # before any event


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `since` to `until` (exclusive), both UTC. `name` is the named range, or `custom`."""

    name: str
    since: datetime
    until: datetime

    @property
    def before(self) -> "TimeRange | None":
        """The preceding range of the same length; None if it would start before 1970."""
        length = self.until - self.since
        return (
            TimeRange(self.name, self.since - length, self.since) if length <= self.since - EARLIEST else None
        )

    def clipped(self, until: datetime) -> "TimeRange":
        """The part of it before a time."""
        return TimeRange(self.name, self.since, max(self.since, min(self.until, until)))

    @property
    def params(self) -> dict[str, datetime]:
        """As SQL parameters: naive datetimes in UTC."""
        return {"since": naive(self.since), "until": naive(self.until)}

    @property
    def whole_hours(self) -> dict[str, datetime]:
        """As SQL parameters: the start of the first whole hour in the range, and the end of the last."""
        since, until = naive(self.since), naive(self.until)
        # Near the last time that there is, no hour is whole.
        to_hour = timedelta(hours=1, microseconds=-1)
        first = _start_of_hour(since + to_hour) if since <= datetime.max - to_hour else since
        return {"first_hour": first, "last_hour": max(first, _start_of_hour(until))}

    @property
    def whole_days(self) -> dict[str, datetime]:
        """As SQL parameters: the start of the first whole day in the range, and the end of the last."""
        since, until = naive(self.since), naive(self.until)
        to_day = timedelta(days=1, microseconds=-1)
        first = _start_of_day(since + to_day) if since <= datetime.max - to_day else since
        return {"first_day": first, "last_day": max(first, _start_of_day(until))}


def parse_range(range_: str | None = None, since: str | None = None, until: str | None = None) -> TimeRange:
    """A named range up to now, or the range from `since` to `until`, one of which may be missing.

    Raises:
        InvalidRequest: the range is unknown, a time is invalid, or `since` is later than `until`.
    """
    is_custom = since is not None or until is not None
    if range_ is not None and range_ not in ALLOWED:
        raise InvalidRequest(f"range {range_[:40]!r} is not one of {', '.join(ALLOWED)}")
    now = clock.now() + timedelta(
        microseconds=1
    )  # `until` is exclusive, and the current time must be included
    if is_custom:
        start = parse_time("since", since, EARLIEST)
        end = parse_time("until", until, max(now, start))
        if since is not None and start > end:
            raise InvalidRequest(f"since {since!r} is later than until {until!r}; swap the two")
        start = max(start, EARLIEST)
        return TimeRange("custom", start, max(start, end))
    name = range_ or DEFAULT
    return TimeRange(name, now - NAMED[name] if name in NAMED else EARLIEST, now)


def parse_time(name: str, text: str | None, default: datetime) -> datetime:
    """A date or RFC 3339 time in UTC.

    Raises:
        InvalidRequest: it is neither.
    """
    if text is None:
        return default
    try:
        return clock.parse(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{name} {text[:40]!r} is not a date and time such as 2026-11-23T09:00:00Z (in a URL, + is %2B)"
        ) from None


def _start_of_day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _start_of_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def naive(at: datetime) -> datetime:
    """As the event log stores times: naive, in UTC."""
    return at.astimezone(UTC).replace(tzinfo=None)
