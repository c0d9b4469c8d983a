"""Filters for metrics and for the list of conversations."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from smart_support.errors import InvalidRequest

CHANNELS = ("socket", "rest", "gradio", "console", "mcp", "system")
# Figures that count events in a time range, whenever the conversation started.
SELECTABLE_FIGURES = (
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
    """Selects whole conversations, so that all figures of a dashboard are about the same ones.

    Attributes:
        agent: sent a message or called a tool.
        tool: was called, or an approval was requested for it.
        channel: of at least one turn.
    """

    agent: str | None = None
    tool: str | None = None
    channel: str | None = None

    def __post_init__(self) -> None:
        if self.channel is not None and self.channel not in CHANNELS:
            raise InvalidRequest(f"channel {self.channel[:40]!r} is not one of {', '.join(CHANNELS)}")

    @property
    def params(self) -> dict[str, Any]:
        """As parameters of the SQL files; empty if there is no filter."""
        params = asdict(self)
        return params if any(value is not None for value in params.values()) else {}


@dataclass(frozen=True, slots=True)
class FigureSelection:
    """Selects the conversations that a figure counted.

    Attributes:
        figure: one of `SELECTABLE_FIGURES`.
        line: one line of the figure: an agent, a tool, an error class, a kind of escalation, a lead; for
            `approvals` an outcome or `pending`. None for all lines.
        since: the start of the figure's time range, UTC.
        until: its end, exclusive.
    """

    figure: str | None
    line: str | None
    since: datetime | None
    until: datetime | None

    def __post_init__(self) -> None:
        if self.figure not in (None, *SELECTABLE_FIGURES):
            raise InvalidRequest(
                f"figure {str(self.figure)[:40]!r} is not one of {', '.join(SELECTABLE_FIGURES)}"
            )


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """Selects conversations by their events.

    Attributes:
        tool: was called, or an approval was requested for it; with `error_class`, its result was such an
            error.
        approval: an approval has this outcome, decided by `decided_by` if that is set; or was requested
            (`asked`); or is `pending`; or a write ran `by_policy`, without an approval.
        channel: of at least one turn.
        escalation: the kind of an escalation.
        counted: only conversations that this figure counted. The other fields then apply to events since the
            start of the figure's time range, not since the start of the list's range.
    """

    tool: str | None = None
    error_class: str | None = None
    approval: str | None = None
    decided_by: str | None = None
    channel: str | None = None
    escalation: str | None = None
    counted: FigureSelection | None = None


NO_FILTERS = Filters()
ANY_CONVERSATION = ConversationFilter()
