"""Which stretch of time is asked for: a named range, or `since` and `until`. No query is made here."""

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
class Span:
    """`since` up to, not including, `until`, both UTC. `name` is the range asked for, or `custom`."""

    name: str
    since: datetime
    until: datetime

    @property
    def before(self) -> "Span | None":
        """The time just before, as long; None where that would begin before any event."""
        long = self.until - self.since
        return Span(self.name, self.since - long, self.since) if long <= self.since - EARLIEST else None

    @property
    def params(self) -> dict[str, datetime]:
        """The two ends as the event log takes them: naive, in UTC."""
        return {"since": naive(self.since), "until": naive(self.until)}


def span(range_: str | None = None, since: str | None = None, until: str | None = None) -> Span:
    """The span of a named range up to now, or of `since` and `until` (either may be left out) instead of it.

    Raises:
        InvalidRequest: the range is none that exists, a moment can't be read, or the ends are reversed.
    """
    custom = since is not None or until is not None
    if range_ is not None and range_ not in ALLOWED:
        raise InvalidRequest(f"range {range_[:40]!r} is not one of {', '.join(ALLOWED)}")
    now = clock.now() + timedelta(microseconds=1)  # the end is not included, and this very moment is
    if custom:
        start = moment("since", since, EARLIEST)
        end = moment("until", until, max(now, start))
        if since is not None and start > end:
            raise InvalidRequest(f"since {since!r} is later than until {until!r}; swap the two")
        start = max(start, EARLIEST)
        return Span("custom", start, max(start, end))
    name = range_ or DEFAULT
    return Span(name, now - NAMED[name] if name in NAMED else EARLIEST, now)


def moment(name: str, text: str | None, default: datetime) -> datetime:
    """A date or RFC 3339 moment, in UTC.

    Raises:
        InvalidRequest: it is neither.
    """
    if text is None:
        return default
    try:
        return clock.parse(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{name} {text[:40]!r} is not a date and time as 2026-11-23T09:00:00Z (in a URL, + is %2B)"
        ) from None


def naive(at: datetime) -> datetime:
    """As the event log keeps moments: UTC without saying so."""
    return at.astimezone(UTC).replace(tzinfo=None)
