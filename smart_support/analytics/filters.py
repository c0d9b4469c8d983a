"""Which conversations figures and lists are about, by what happened in them. No query is made here."""

from dataclasses import asdict, dataclass
from typing import Any

from smart_support.errors import InvalidRequest

CHANNELS = ("socket", "rest", "gradio", "console", "system")


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
class About:
    """What happened in a conversation, so that a figure leads to the conversations behind it.

    Attributes:
        tool: was called, or an approval asked for it; with `error_class`, its result was such an error.
        approval: an approval ended in this outcome, by `decided_by` where that is given; or was `asked` for,
            or is `pending`; or a write ran `by_policy`, without one.
        channel: a turn came through this door.
        escalation: a human was called by this.
    """

    tool: str | None = None
    error_class: str | None = None
    approval: str | None = None
    decided_by: str | None = None
    channel: str | None = None
    escalation: str | None = None

    @property
    def params(self) -> dict[str, str | None]:
        """As `queries/conversations.sql` takes them."""
        return asdict(self)


EVERYTHING = Filters()
ANYTHING = About()
