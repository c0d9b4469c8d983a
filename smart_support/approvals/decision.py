"""A person's decision on an approval, as it comes in from an interface."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from smart_support.approvals.approval import OUTCOMES, Status, whole_text
from smart_support.errors import InvalidRequest

MAX_REASON_CHARS = 2000


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """What somebody decides, checked for form when it is made.

    Attributes:
        decision: `approve`, `edit`, `reject` or `respond`.
        decided_by: the authenticated user's name; `via`: the channel the decision came through.
        reason: why; with `respond`, the answer that replaces the tool's result. At most 2,000 characters.
        args: with `edit`, the arguments to run instead of the requested ones.
        link_id: identifies the link through which it came, which is used once.

    Raises:
        InvalidRequest: the decision is unknown, or a field has the wrong type or length.
    """

    decision: str
    _: KW_ONLY
    decided_by: str
    via: str
    reason: str | None = None
    args: Mapping[str, Any] | None = None
    link_id: str | None = None

    def __post_init__(self) -> None:
        # The fields come from JSON, so their types are checked here as well.
        decision: Any = self.decision
        reason: Any = self.reason
        if not isinstance(decision, str) or decision not in OUTCOMES:
            raise InvalidRequest(f"decision {str(decision)[:100]!r} is not one of {', '.join(OUTCOMES)}")
        if reason is not None and not isinstance(reason, str):
            raise InvalidRequest("reason: give text")
        if decision == "respond" and not (reason or "").strip():
            raise InvalidRequest("respond: give the answer as text; it replaces the tool's result")
        whole_text("reason", reason or "", MAX_REASON_CHARS)
        if self.args is not None and not isinstance(self.args, Mapping):
            raise InvalidRequest("args: give an object")

    @property
    def status(self) -> Status:
        """The status of an approval after this decision."""
        return OUTCOMES[self.decision]


def reason_or_answer(decision: str, reason: Any, message: Any) -> Any:
    """The `reason` of a decision that may carry its answer as `message`.

    Raises:
        InvalidRequest: a message comes with another decision than `respond`, or with a reason as well.
    """
    if decision == "respond" and message is not None:
        if reason is not None:
            raise InvalidRequest("respond: give 'message' alone; the answer is recorded as the reason")
        return message
    if message is not None:
        raise InvalidRequest("'message' goes with decision 'respond'")
    return reason


def check_edit_given(is_edit: bool, edit: object) -> None:
    """Check that an edit, and only an edit, comes with what was edited.

    Raises:
        InvalidRequest: it does not.
    """
    if is_edit != (edit is not None):
        raise InvalidRequest("'args' goes with decision 'edit' (approved: true), and 'edit' needs 'args'")
