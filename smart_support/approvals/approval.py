"""What an agent asks for, and the approval that a human decides: data, and how it reads. No storage here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from smart_support import clock
from smart_support.errors import AlreadyDecided, ApprovalExpired, DecisionNotAllowed, InvalidRequest

Status = Literal["pending", "approved", "rejected", "edited", "expired", "responded", "withdrawn"]
STATUSES: tuple[Status, ...] = get_args(Status)
OUTCOMES: dict[str, Status] = {
    "approve": "approved",
    "edit": "edited",
    "reject": "rejected",
    "respond": "responded",
}
# What a person may decide where the agent that asks does not say.
USUAL_DECISIONS = ("approve", "edit", "reject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an agent wants to do, as it stands on the card.

    Attributes:
        part: its place in one interrupt.
        effect: what will change, found on a copy.
        changed: what is different since it was approved before, where that is why it is asked again.
        need: what the policy asks for: `run`, `ask` or `two_leads`; `because`: in its rule's words.
        facts: what the policy judged it on.
        asked_by: who said the message that led to it.
        allowed: the decisions that the agent takes: `approve`, `edit`, `reject`, `respond`.
        args_schema: JSON Schema of the arguments an edit may give, where the agent says so.
    """

    thread_id: str
    interrupt_id: str
    action: str
    args: Mapping[str, Any]
    agent: str
    summary: str
    risk: str = "medium"
    part: int = 0
    tool_call_id: str | None = None
    customer_id: str | None = None
    tool_version: str | None = None
    effect: list[dict[str, str]] | None = None
    changed: list[dict[str, str]] | None = None
    need: str = "ask"
    because: str | None = None
    facts: Mapping[str, Any] | None = None
    asked_by: str | None = None
    allowed: Sequence[str] = USUAL_DECISIONS
    args_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A human's arguments in place of those asked for, and all that a card says of a call with them.

    Attributes:
        args: as they will run.
        customer_id: whose things they name; `effect`: what will change; `facts`: what the policy judged.
    """

    args: Mapping[str, Any]
    summary: str
    customer_id: str | None = None
    effect: list[dict[str, str]] | None = None
    facts: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One call that a human decides.

    Attributes:
        args: what executes, and with it summary, effect, customer and facts; `requested_args`: what the
            agent asked. What the card said before an edit is in its history.
        execution_reason: why it was not carried out, where it was approved and was not.
        votes: who has approved so far, where it needs two: `{"by", "via", "at", "reason"}`.
        claimed_by: who is at work on it, until `claimed_until`; others see it.
        notes: how many notes people have left on it.
        reason: why it was decided so; where the status is `responded`, the person's answer.
        allowed, args_schema: as in `Request`.
    """

    approval_id: str
    thread_id: str
    interrupt_id: str
    part: int
    tool_call_id: str | None
    customer_id: str | None
    agent: str
    action: str
    args: dict[str, Any]
    requested_args: dict[str, Any]
    tool_version: str | None
    digest: str
    summary: str
    effect: list[dict[str, str]] | None
    changed: list[dict[str, str]] | None
    risk: str
    status: Status
    execution: str | None
    execution_reason: str | None
    requested_at: str
    expires_at: str
    decided_at: str | None
    decided_by: str | None
    decided_via: str | None
    reason: str | None
    event_id: str | None
    resumed: bool
    need: str
    because: str | None
    facts: dict[str, Any] | None
    votes: list[dict[str, Any]]
    asked_by: str | None
    claimed_by: str | None
    claimed_until: str | None
    notes: int
    allowed: list[str]
    args_schema: dict[str, Any] | None

    @property
    def approved(self) -> bool:
        """Whether its action may run."""
        return self.status in ("approved", "edited")

    @property
    def is_refused(self) -> bool:
        """Whether its action never runs, and nobody has answered in its place."""
        return self.status in ("rejected", "expired", "withdrawn")

    def check_allows(self, decision: str) -> None:
        """See that the agent that asked takes this decision.

        Raises:
            DecisionNotAllowed: it does not; says which it takes.
        """
        if decision not in self.allowed:
            takes = ", ".join(self.allowed) or "none; it can only expire"
            raise DecisionNotAllowed(
                f"approval {self.approval_id}: {decision} is not allowed here. Allowed: {takes}. "
                "Nothing was changed."
            )

    @property
    def holder(self) -> str | None:
        """Who has claimed it, as long as the claim lasts."""
        lapsed = not self.claimed_until or clock.parse(self.claimed_until) <= clock.now()
        return None if lapsed else self.claimed_by

    def wire(self) -> dict[str, Any]:
        """The approval as programs see it."""
        hidden = ("part", "tool_version", "resumed", "event_id")
        return {name: getattr(self, name) for name in self.__slots__ if name not in hidden}

    def refusal(self) -> AlreadyDecided | ApprovalExpired:
        """Why it can't be decided again."""
        if self.status == "expired":
            return ApprovalExpired(self.approval_id, clock.parse(self.expires_at))
        moment = clock.parse(self.decided_at or self.requested_at)
        return AlreadyDecided(self.approval_id, self.status, self.decided_by or "someone", moment)


def whole_text(name: str, text: str, most: int) -> str:
    """`text`, if it can be kept as it is: not too long, and no half of a surrogate pair in it.

    Raises:
        InvalidRequest: it can't.
    """
    if len(text) > most:
        raise InvalidRequest(f"{name}: {len(text)} characters; at most {most}")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest(f"{name}: holds half a surrogate pair, which is no character; send valid text")
    return text


def summary_of(action: str, args: Mapping[str, Any]) -> str:
    """A card's sentence where whoever asks gives none: the action and its arguments, all of them."""
    words = action.replace("_", " ").capitalize()
    return f"{words}: " + ", ".join(f"{name} {item}" for name, item in args.items()) if args else words
