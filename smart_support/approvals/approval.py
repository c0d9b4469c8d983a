"""A request for approval, and the approval that a human decides, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from smart_support import clock
from smart_support.approvals.amount import amount_of
from smart_support.approvals.duplicates import duplicate_key
from smart_support.errors import AlreadyDecided, ApprovalExpired, DecisionNotAllowed, InvalidRequest
from smart_support.gate.planned_call import PlannedCall

Status = Literal["pending", "approved", "rejected", "edited", "expired", "responded", "withdrawn"]
STATUSES: tuple[Status, ...] = get_args(Status)
OUTCOMES: dict[str, Status] = {
    "approve": "approved",
    "edit": "edited",
    "reject": "rejected",
    "respond": "responded",
}
# What a person may decide where the requesting agent does not say.
USUAL_DECISIONS = ("approve", "edit", "reject")
# The fields of an approval, and those of its call, that interfaces show or don't show; see `Approval.wire`.
NOT_ON_WIRE = frozenset({"call", "client", "part", "event_id", "resumed", "verified_customer"})
CALL_ON_WIRE = (
    *("customer_id", "agent", "args", "summary", "effect", "changed", "target"),
    *("risk", "need", "because", "facts"),
    *("approvers", "expires_after", "on_expiry"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A planned call and where its decision is awaited.

    Attributes:
        interrupt_id: what waits for the decision, and `part`: the call's place in it.
        asked_by: the user whose message led to the call.
        allowed: the decisions that are possible: `approve`, `edit`, `reject`, `respond`.
        args_schema: JSON Schema of the arguments an edit may give, if known.
        client: of a call by an API client, what its program says of itself: `{"client_name",
            "client_version", "session", "reason"}`. Nothing in it is verified.
    """

    call: PlannedCall
    thread_id: str
    interrupt_id: str
    part: int = 0
    asked_by: str | None = None
    allowed: Sequence[str] = USUAL_DECISIONS
    args_schema: Mapping[str, Any] | None = None
    client: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval(Request):
    """A request that is on record, and its decision.

    Attributes:
        call: what executes. After an edit its arguments, summary, effect, customer and facts are the edited
            ones; the history has those from before.
        requested_args: the arguments as the agent requested them.
        execution: `not_started`, `done`, `failed` or `outcome_unknown`; None where the call never runs.
        execution_reason: why an approved call was not carried out.
        votes: who has approved so far, where two people have to: `{"by", "via", "at", "reason"}`.
        claimed_by: who works on it, until `claimed_until`.
        notes: how many notes people have left on it.
        verified_customer: whom the conversation was bound to at the request: `id`, `name`, `email`.
        reason: why it was decided so; where the status is `responded`, the person's answer.
        event_id: the id of the event of its decision.
        resumed: the conversation has taken up the decision.
        paused_at: since when its time stands still, because its call is frozen. `expires_at` is as of then,
            and is moved by that time when the freeze is lifted. None in any other case.
        parked: it is approved, and its call waits for the end of a freeze.
    """

    approval_id: str
    requested_args: dict[str, Any]
    digest: str
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
    votes: list[dict[str, Any]]
    claimed_by: str | None
    claimed_until: str | None
    notes: int
    paused_at: str | None
    parked: bool
    verified_customer: Mapping[str, Any] | None = None

    @property
    def is_approved(self) -> bool:
        """Whether its call may run."""
        return self.status in ("approved", "edited")

    @property
    def is_refused(self) -> bool:
        """Whether its action never runs, and nobody has answered in its place."""
        return self.status in ("rejected", "expired", "withdrawn")

    def check_allows(self, decision: str) -> None:
        """Check that the requesting agent accepts this decision.

        Raises:
            DecisionNotAllowed: it does not.
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

    @property
    def duplicate_key(self) -> str:
        """What this approval shares with one that may ask for the same thing again."""
        call = self.call
        return duplicate_key(call.tool, call.args, customer_id=call.customer_id, thread_id=self.thread_id)

    def wire(self) -> dict[str, Any]:
        """The approval as interfaces show it: flat, with the tool as `action`."""
        own = {item.name for item in fields(self)} - NOT_ON_WIRE
        amount = amount_of(self.call.args, self.call.facts, self.call.effect)
        return (
            {name: getattr(self, name) for name in own}
            | {name: getattr(self.call, name) for name in CALL_ON_WIRE}
            | {"action": self.call.tool, "tool_call_id": self.call.tool_call_id or None}
            | {"caller": self.caller, "customer": self.customer, "duplicate_key": self.duplicate_key}
            | {"amount": amount.wire() if amount else None}
        )

    @property
    def customer(self) -> dict[str, Any] | None:
        """Whom the call is for, and whether a website has vouched for that; None where it is not known."""
        if self.verified_customer:
            return {**self.verified_customer, "verified": True}
        customer_id = self.call.customer_id
        return {"id": customer_id, "verified": False} if customer_id else None

    @property
    def caller(self) -> dict[str, Any] | None:
        """The API client that requested the call, with what it says of itself; None for an agent."""
        return {"name": self.call.caller, **(self.client or {})} if self.call.caller else None

    def refusal(self) -> AlreadyDecided | ApprovalExpired:
        """Why it can't be decided again."""
        if self.status == "expired":
            return ApprovalExpired(self.approval_id, clock.parse(self.expires_at))
        decided_at = clock.parse(self.decided_at or self.requested_at)
        return AlreadyDecided(self.approval_id, self.status, self.decided_by or "someone", decided_at)


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
