"""Which conversations figures and lists are about, by what happened in them. No query is made here."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from smart_support.analytics.time_range import naive
from smart_support.errors import InvalidRequest

CHANNELS = ("socket", "rest", "gradio", "console", "system")
# Figures of what happened in a range, whenever the conversation began that it happened in.
COUNTED = (
    "agents",
    "tools",
    "tool_errors",
    "escalations",
    "by_policy",
    "approvals",
    "leads",
    "approval_tools",
)


@dataclass(frozen=True, slots=True)
class Filters:
    """Each narrows down to whole conversations, so that all figures of a page are about the same ones.

    Attributes:
        agent: spoke or called a tool in it.
        tool: was called in it, or an approval was asked for it.
        channel: a turn of it came through this door.
    """

    agent: str | None = None
    tool: str | None = None
    channel: str | None = None

    def __post_init__(self) -> None:
        if self.channel is not None and self.channel not in CHANNELS:
            raise InvalidRequest(f"channel {self.channel[:40]!r} is not one of {', '.join(CHANNELS)}")

    @property
    def params(self) -> dict[str, Any]:
        """As the statements take them; empty where nothing is filtered."""
        named = asdict(self)
        return named if any(value is not None for value in named.values()) else {}


@dataclass(frozen=True, slots=True)
class Counted:
    """What a figure counted.

    Attributes:
        figure: one of `COUNTED`.
        line: one line of it: an agent, a tool, a class of errors, a kind of escalation, a lead; of
            `approvals` an outcome or `pending`. All of the figure without it.
        since: the first moment it counted, UTC.
        until: the moment it stopped before.
    """

    figure: str | None
    line: str | None
    since: datetime | None
    until: datetime | None

    def __post_init__(self) -> None:
        if self.figure not in (None, *COUNTED):
            raise InvalidRequest(f"figure {str(self.figure)[:40]!r} is not one of {', '.join(COUNTED)}")

    @property
    def params(self) -> dict[str, Any]:
        """As `queries/conversations.sql` takes them."""
        moments = {"counted_since": self.since, "counted_until": self.until}
        named = {name: naive(moment) if moment else None for name, moment in moments.items()}
        return named | {"figure": self.figure, "line": self.line}


NOTHING_COUNTED = Counted(None, None, None, None)


@dataclass(frozen=True, slots=True)
class About:
    """What happened in a conversation, so that a figure leads to the conversations behind it.

    Attributes:
        tool: was called, or an approval asked for it; with `error_class`, its result was such an error.
        approval: an approval ended in this outcome, by `decided_by` where that is given; or was `asked` for,
            or is `pending`; or a write ran `by_policy`, without one.
        channel: a turn came through this door.
        escalation: a human was called by this.
        counted: only conversations behind this figure; then all else of this is about what happened since it
            began to count, and not since the conversations listed may have begun.
    """

    tool: str | None = None
    error_class: str | None = None
    approval: str | None = None
    decided_by: str | None = None
    channel: str | None = None
    escalation: str | None = None
    counted: Counted | None = None

    @property
    def params(self) -> dict[str, Any]:
        """As `queries/conversations.sql` takes them."""
        named = asdict(self)
        del named["counted"]
        return named | (self.counted or NOTHING_COUNTED).params


EVERYTHING = Filters()
ANYTHING = About()
