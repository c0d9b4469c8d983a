"""The events of a turn: a class for each event type, and the record that gives an event its number and time.

Names and fields are those of the wire protocol (docs/protocols.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar, Literal

import orjson

from smart_support import clock
from smart_support.text import clean_json, clean_text

ToolStatus = Literal["ok", "error", "rejected", "expired", "skipped"]
EscalationKind = Literal["asked", "policy", "limit", "budget", "failures", "unknown_outcome", "expired"]
REQUEST_CHARS = 500
Outcome = Literal["approved", "rejected", "edited", "expired", "responded", "withdrawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a turn. `ends_turn` is true for the three types with which a turn ends.

    The fields are cleaned (text.py), so that an event can always be stored and sent.
    """

    type: ClassVar[str]
    ends_turn: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in _FIELDS[type(self)]:
            value = getattr(self, name)
            if value is not None and not isinstance(value, bool):
                object.__setattr__(self, name, clean_json(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(Event):
    """One chunk of the model's text. It is numbered and sent, but stored only as part of its `Message`.

    The recorder cleans the content, because a character may be split between two chunks.
    """

    type: ClassVar[str] = "token"
    agent: str
    content: str

    def __post_init__(self) -> None:
        agent = clean_text(self.agent)
        if agent is not self.agent:
            object.__setattr__(self, "agent", agent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Event):
    """A complete message. That of an agent covers the numbers of its tokens.

    Attributes:
        role: `colleague` for a person who answers in place of the agents.
        by: that person.
        reasoning: the model's thoughts before it. On record only: no client is sent it.
    """

    type: ClassVar[str] = "message"
    role: Literal["customer", "agent", "colleague"]
    content: str
    agent: str | None = None
    message_id: str | None = None
    reasoning: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Event):
    """Which agents answer the message, in order, and why.

    Each target is `{"agent", "request"}`. The request repeats a part of the customer's message, so only its
    first `REQUEST_CHARS` characters are recorded.
    """

    type: ClassVar[str] = "route"
    targets: list[dict[str, str]]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall(Event):
    """An agent requests a tool call. A write may still need an approval. `reasoning`: as in `Message`."""

    type: ClassVar[str] = "tool_call"
    agent: str
    tool: str
    args: dict[str, Any]
    tool_call_id: str
    reasoning: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult(Event):
    """The result of a tool call.

    Attributes:
        duration_ms: the time of the tool itself, null if it did not run.
        policy: for an auto-approved write, the reason that its rule gives.
        error_class: for a failed call, as `errors.SmartSupportError.error_class`.
    """

    type: ClassVar[str] = "tool_result"
    agent: str
    tool: str
    tool_call_id: str
    status: ToolStatus
    content: str
    duration_ms: float | None = None
    policy: str | None = None
    error_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt(Event):
    """The turn waits for the decision of `approval_id`. `usage`, `model`: as in `MessageComplete`."""

    type: ClassVar[str] = "interrupt"
    ends_turn: ClassVar[bool] = True
    interrupt_id: str
    approval_id: str
    action: str
    args: dict[str, Any]
    agent: str
    expires_at: str
    summary: str
    usage: dict[str, Any] | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Event):
    """An approval was decided. `args` and `summary` are the edited ones where the outcome is `edited`."""

    type: ClassVar[str] = "decision"
    approval_id: str
    outcome: Outcome
    decided_by: str
    reason: str | None = None
    args: dict[str, Any] | None = None
    summary: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clarification(Event):
    """A question back to the customer, with answers to choose from."""

    type: ClassVar[str] = "clarification"
    question: str
    options: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation(Event):
    """A human is needed. `delivered`: whether the webhook accepted it; `kind`: the reason."""

    type: ClassVar[str] = "escalation"
    reason: str
    delivered: bool
    kind: EscalationKind = "asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover(Event):
    """A person took the conversation from the agents, or handed it back; `note` is for the agents."""

    type: ClassVar[str] = "takeover"
    state: Literal["taken", "released"]
    by: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageComplete(Event):
    """The turn has ended.

    Attributes:
        usage: `input_tokens`, `output_tokens`, `cost_usd` or null.
        incomplete: why the last answer is not a whole one: `length`, `content_filter`, `refusal`; else null.
    """

    type: ClassVar[str] = "message_complete"
    ends_turn: ClassVar[bool] = True
    usage: dict[str, Any]
    duration_ms: float
    first_token_ms: float | None = None
    model: str | None = None
    incomplete: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(Event):
    """The turn ended with an error. The message is for the customer.

    Attributes:
        reason: where a model failed, why, as `errors.ModelFailed.reason`.
    """

    type: ClassVar[str] = "error"
    ends_turn: ClassVar[bool] = True
    code: str
    message: str
    reason: str | None = None


EVENT_TYPES: dict[str, type[Event]] = {cls.type: cls for cls in Event.__subclasses__()}
# What of an event no client is sent.
_RECORD_ONLY = "reasoning"
_FIELDS = {cls: tuple(item.name for item in fields(cls)) for cls in EVENT_TYPES.values()}


def payload(event: Event) -> dict[str, Any]:
    """The fields of an event, as they are stored."""
    return {name: getattr(event, name) for name in _FIELDS[type(event)]}


def sent_payload(event: Event) -> dict[str, Any]:
    """The fields of an event, as clients are sent them."""
    return {name: value for name, value in payload(event).items() if name != _RECORD_ONLY}


def from_payload(type_: str, values: Mapping[str, Any]) -> Event:
    """The event of a stored row. Fields that this version does not know are dropped."""
    cls = EVENT_TYPES[type_]
    known = _FIELDS[cls]
    return cls(**{name: value for name, value in values.items() if name in known})


# The number of an event that could not be recorded: after all others, and never sent.
UNRECORDED = 2**53


@dataclass(slots=True, eq=False)
class Record:
    """An event with its place in a thread.

    Attributes:
        seq: the number in the thread, rising by one; for a streamed message that of its last token.
        first_seq: the first number that it covers; equal to `seq` except for messages and repairs.
        happened_at: UTC.
        caller: the API client whose action it is of; for figures only, and not read back from the log.
        channel: the interface of the turn (`socket` `rest` `gradio` `console` `mcp` `system`).
    """

    thread_id: str
    seq: int
    event: Event
    first_seq: int = 0
    turn_id: str | None = None
    channel: str | None = None
    customer_id: str | None = None
    caller: str | None = None
    event_id: str = field(default_factory=clock.new_id)
    happened_at: datetime = field(default_factory=clock.now)
    _wire: str | None = None

    def __post_init__(self) -> None:
        self.first_seq = self.first_seq or self.seq
        if self.customer_id is not None:
            self.customer_id = clean_text(self.customer_id)

    def wire(self) -> str:
        """The event as JSON text, encoded once for all clients."""
        if self._wire is None:
            head: dict[str, Any] = {"type": self.event.type, "thread_id": self.thread_id}
            if self.seq != UNRECORDED:
                head["seq"] = self.seq
            self._wire = orjson.dumps(head | sent_payload(self.event)).decode()
        return self._wire


class TokenRecord:
    """A token with its number: a smaller `Record`, because a turn has hundreds.

    If `first_seq` is below `seq`, it is a whole message and replaces all its tokens.
    """

    __slots__ = ("_wire", "event", "first_seq", "seq", "thread_id", "turn_id")

    def __init__(
        self, thread_id: str, seq: int, event: Token, turn_id: str | None = None, first_seq: int | None = None
    ) -> None:
        self.thread_id = thread_id
        self.turn_id = turn_id
        self.seq = seq
        self.event = event
        self.first_seq = first_seq or seq
        self._wire: str | None = None

    def wire(self) -> str:
        """The token as JSON text."""
        if self._wire is None:
            event = self.event
            self._wire = orjson.dumps(
                {
                    "type": "token",
                    "thread_id": self.thread_id,
                    "seq": self.seq,
                    "agent": event.agent,
                    "content": event.content,
                }
            ).decode()
        return self._wire


Shown = Record | TokenRecord
