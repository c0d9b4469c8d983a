"""Runs a recorded conversation again with one decision changed, without touching anything real."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smart_support.approvals.decision import DecisionInput
from smart_support.conversation.turn_runner import TurnRunner
from smart_support.errors import (
    AlreadyDecided,
    ApprovalExpired,
    InvalidRequest,
    NoPendingApproval,
    NotFound,
    SmartSupportError,
)
from smart_support.rehearsal.diff import difference
from smart_support.rehearsal.recorded import Step
from smart_support.rehearsal.sandbox import open_sandbox
from smart_support.services import Services

THREAD_ID = "what-if"
# Each turn of a rehearsal costs what a turn costs; of a longer conversation only a part is run again.
MAX_STEPS = 500
_DECISIONS = {"approved": "approve", "edited": "edit", "responded": "respond"}


@dataclass(frozen=True, slots=True)
class ChangedDecision:
    """The decision to try instead of the recorded one: `approve`, `reject`, or `edit` with `args`."""

    approval_id: str
    decision: str
    reason: str | None = None
    args: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The marked steps of both conversations (see `diff`), and which steps (from 1) were run again."""

    steps: list[dict[str, Any]]
    first: int
    last: int


async def what_if(services: Services, thread_id: str, changed: ChangedDecision) -> WhatIf:
    """Run the conversation again with one decision changed, in a sandbox.

    Raises:
        NotFound: the conversation had no such decision.
        InvalidRequest: the decision is the recorded one or can't be made, or the agents are a foreign graph.
    """
    steps = [step async for page in services.replay.batches(thread_id) for step in page]
    decision = next((step for step in steps if _is_decision(step, changed.approval_id)), None)
    if decision is None:
        raise NotFound(f"approval {changed.approval_id[:100]!r} was not decided in this conversation")
    if (decision["outcome"], changed.decision) in (("approved", "approve"), ("rejected", "reject")):
        raise InvalidRequest(f"it was {decision['outcome']}; choose another decision to see a difference")
    first, last = rerun_range(steps, changed.approval_id)
    steps = steps[first:last]
    is_demo_history = services.is_demo_history(thread_id)
    async with open_sandbox(services, steps, is_demo_history=is_demo_history) as sandbox:
        await _run_again(steps, changed, sandbox)
        rehearsed = await sandbox.replay.steps(THREAD_ID, limit=MAX_STEPS)
    return WhatIf(difference(steps, rehearsed), first + 1, last)


def rerun_range(steps: Sequence[Step], approval_id: str) -> tuple[int, int]:
    """Return which steps to run again: all, or whole turns around the decision, at most `MAX_STEPS`."""
    if len(steps) <= MAX_STEPS:
        return 0, len(steps)
    decided = next((at for at, step in enumerate(steps) if _is_decision(step, approval_id)), 0)
    turns = [at for at, step in enumerate(steps) if step.get("role") == "customer"]
    first = min((at for at in turns if decided - MAX_STEPS // 2 <= at < decided), default=0)
    return first, max((at for at in turns if decided < at <= first + MAX_STEPS), default=len(steps))


async def _run_again(steps: Sequence[Step], changed: ChangedDecision, sandbox: Services) -> None:
    """Send the recorded messages and decisions, with the changed decision in its place.

    What people did in the conversation, they do again.
    """
    turns = sandbox.turns
    actions = {step["approval_id"]: step["action"] for step in steps if step["type"] == "interrupt"}
    for step in steps:
        if step["type"] == "message" and step["role"] == "customer":
            async for _ in turns.submit_and_follow(THREAD_ID, str(step["content"]), channel="system"):
                pass
        elif step["type"] == "message" and step["role"] == "colleague":
            said = {"by": str(step["by"]), "via": "system"}
            await sandbox.takeovers.answer(THREAD_ID, str(step["content"]), **said)
        elif step["type"] == "takeover":
            await _take_over(step, sandbox)
        elif step["type"] == "decision":
            is_changed = step["approval_id"] == changed.approval_id
            decision = changed if is_changed else _recorded_decision(step)
            await _decide(turns, decision, actions.get(step["approval_id"]), step["decided_by"])


async def _take_over(step: Step, sandbox: Services) -> None:
    by = str(step["by"])
    if step["state"] == "taken":
        await sandbox.takeovers.take_over(THREAD_ID, by=by, via="system")
    else:
        await sandbox.takeovers.release(THREAD_ID, by=by, via="system", note=step["note"])
    async for _ in sandbox.turns.follow(THREAD_ID):
        pass


async def _decide(turns: TurnRunner, decision: ChangedDecision, action: str | None, by: str) -> None:
    try:
        pending = await turns.pending_approval(THREAD_ID)
    except (NoPendingApproval, AlreadyDecided, ApprovalExpired):
        return  # the rehearsal never came to this approval
    if pending.call.tool != action:
        return  # the rehearsal stopped at an approval that was not recorded
    try:
        made = DecisionInput(
            decision.decision, decided_by=by, via="system", reason=decision.reason, args=decision.args
        )
        async for _ in turns.decide_and_follow(pending.approval_id, made):
            pass
    except SmartSupportError as error:
        raise InvalidRequest(f"that decision can't be made: {error.message}") from None


def _recorded_decision(step: Step) -> ChangedDecision:
    decision = _DECISIONS.get(step["outcome"], "reject")
    reason = step.get("reason") or ("Nobody decided in time." if step["outcome"] == "expired" else None)
    args = step.get("args") if decision == "edit" else None
    return ChangedDecision(step["approval_id"], decision, reason, args)


def _is_decision(step: Step, approval_id: str) -> bool:
    return bool(step["type"] == "decision" and step["approval_id"] == approval_id)
