"""A turn of an action: it plans the call, waits for its approval, runs it, or finishes what a crash cut off.

Each step is stored before the next one begins, so that `advance` goes on from wherever an action is.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from smart_support import clock
from smart_support.actions.action import Action, Status
from smart_support.actions.store import ActionStore
from smart_support.approvals.approval import USUAL_DECISIONS, Approval, Request
from smart_support.approvals.queue import ApprovalQueue
from smart_support.conversation.recorded_turn import RecordedTurn, decision_event, interrupt_event
from smart_support.conversation.recorder import Recorder
from smart_support.conversation.sessions import Session, SessionManager
from smart_support.errors import Frozen, InvalidRequest, NotFound
from smart_support.events import (
    Decision,
    Escalation,
    Event,
    Failure,
    Interrupt,
    Message,
    MessageComplete,
    Record,
    ToolCall,
    ToolResult,
    ToolStatus,
)
from smart_support.gate.call_result import KEPT_CHARS, CallResult, as_text, refusal_text
from smart_support.gate.caller import Caller
from smart_support.gate.gate import Gate
from smart_support.gate.planned_call import PlannedCall
from smart_support.observability import tracing
from smart_support.observability.log import get_logger
from smart_support.storage.events.base import EventStore
from smart_support.tools.handoff import Escalate

log = get_logger()
NO_USAGE = {"input_tokens": 0, "output_tokens": 0, "cost_usd": None}
FAILED = "Something broke on our side. Get the action again later; it goes on by itself."
EDITED = "A colleague changed the arguments before it ran."
_STATUS: dict[ToolStatus, Status] = {"ok": "done", "rejected": "rejected", "expired": "expired"}
_RESULT_STATUS: dict[Status, ToolStatus] = {"done": "ok", "rejected": "rejected", "expired": "expired"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionDependencies:
    """What turns of actions use.

    Attributes:
        caller: the caller of a name, as it is configured now.
        escalate: notifies a human.
    """

    store: ActionStore
    gate: Gate
    approvals: ApprovalQueue
    sessions: SessionManager
    event_log: EventStore
    caller: Callable[[str], Caller]
    escalate: Escalate


class ActionTurn(RecordedTurn):
    """One turn of a thread that holds the actions of an API client."""

    def __init__(self, dependencies: ActionDependencies, session: Session, recorder: Recorder) -> None:
        super().__init__(session, recorder, dependencies.sessions)
        self._store = dependencies.store
        self._gate = dependencies.gate
        self._approvals = dependencies.approvals
        self._log = dependencies.event_log
        self._caller = dependencies.caller
        self._escalate = dependencies.escalate
        self._recorded: set[tuple[str, str]] = set()
        self._is_edited = False
        self._is_parked = False
        self._is_resuming = False

    async def advance(self, action_id: str, records: Sequence[Record] | None = None) -> None:
        """Go on with an action until it is settled or waits for a decision.

        Args:
            records: what the thread has recorded; None for an action that has just been requested.
        """
        try:
            action = await self._store.get(action_id)
        except NotFound:
            return  # erased
        if records is None and (action.status != "running" or action.planned is not None):
            return  # another process was faster
        self._recorded = {key for record in records or () if (key := _key(record.event))}
        self._is_edited = action.message == EDITED
        await self._emit_once(call_event(action))
        if action.is_settled:
            for approval in await self._approvals.of_thread(self.thread_id):
                if approval.interrupt_id == action_id and approval.status != "pending":
                    await self._emit_once(decision_event(approval), str(approval.event_id))
            await self._report(action)
            return
        result = await self._run_call(action)
        if result is not None:
            await self._settle(action, result)

    async def catch_up(self, action_id: str) -> None:
        """Go on with an action whose turn a crash cut off, or that has never begun."""
        with contextlib.suppress(NotFound):
            if (await self._store.get(action_id)).status == "running":
                await self.advance(action_id, await self._log.read(self.thread_id))

    async def resume(self, approval: Approval) -> None:
        """See `RecordedTurn.resume`."""
        if (await self._approvals.get(approval.approval_id)).resumed:
            return
        records = await self._log.read(self.thread_id)
        try:
            action = await self._store.get(approval.interrupt_id)
        except NotFound:
            action = None
        if action is not None and not (action.is_settled and _has_result(action, records)):
            self._is_resuming = True
            await self.advance(action.action_id, records)
        await self._recorder.settle()
        if self._is_parked:
            return
        await self._approvals.mark_resumed(approval.approval_id)
        await self._approvals.changed(approval.approval_id)

    async def finish(self) -> None:
        """See `RecordedTurn.finish`."""
        records = await self._log.read(self.thread_id)
        own = [record.event for record in records if record.turn_id == self.turn_id]
        if own and own[-1].ends_turn:
            return
        action_id = await self._action_of(own) or await self._left_out(records)
        if action_id is not None:
            await self.advance(action_id, records)
        # An action that has not begun gets a turn of its own.
        if (own or self.has_begun) and not self._has_ended:
            await self._complete()

    async def answer(self, message: Message, *, is_repeatable: bool = False) -> None:
        """Refuse a message: nobody answers here."""
        raise InvalidRequest("This thread holds the actions of an API client; start a new conversation.")

    async def answer_as_colleague(self, message: Message) -> None:
        """Refuse a message: nobody reads it here."""
        await self.answer(message)

    async def finish_takeover(self) -> None:
        """End the turn: there is nobody to take the thread from."""
        await self._complete()

    # The call

    async def _run_call(self, action: Action) -> CallResult | None:
        """The result of an action's call; None where it waits for a decision."""
        caller = self._caller(action.caller)
        planned = await self._plan(action, caller)
        if isinstance(planned, CallResult):
            return planned
        self._customer_id = planned.customer_id or self._customer_id
        part = action.part
        while True:
            if planned.needs_approval:
                approval = await self._request_approval(action, planned, caller, part)
                is_requested = self._is_resuming or ("interrupt", approval.approval_id) in self._recorded
                if approval.status == "pending" or not is_requested:
                    # Also where it was decided meanwhile: the turn of the decision comes behind this one.
                    await self._wait(action, approval)
                    return None
                await self._emit_once(decision_event(approval), str(approval.event_id))
                if not approval.is_approved:
                    await self._escalate_expired(approval)
                    return _refusal(action, approval)
                if approval.status == "edited":
                    planned = planned.edited(approval.call.edited_fields())
                    self._is_edited = True
                changes = {"args": dict(planned.args)} | ({"message": EDITED} if self._is_edited else {})
                await self._store.update(action, status="running", **changes)
                if await self._approvals.park(approval):
                    await self._wait_for_unfreezing(action, approval)
                    return None
            rechecked = await self._gate.recheck(planned, self.thread_id)
            if isinstance(rechecked, CallResult):
                return rechecked
            if rechecked is None:
                try:
                    return await self._gate.execute(planned, caller, self.thread_id)
                except Frozen:
                    continue
            planned, part = rechecked, part + 1
            await self._store.update(action, planned=planned.state(), part=part)

    async def _plan(self, action: Action, caller: Caller) -> PlannedCall | CallResult:
        if action.planned is not None:
            return PlannedCall.from_state(action.planned)
        planned = await self._gate.plan(
            caller,
            action.tool,
            dict(action.args),
            tool_call_id=action.action_id,
            thread_id=self.thread_id,
            duplicate_of=action.duplicate_of,
        )
        if isinstance(planned, PlannedCall) and planned.need is not None:
            # Before the approval, so that what runs is compared with what its card showed.
            await self._store.update(action, planned=planned.state())
        return planned

    async def _request_approval(
        self, action: Action, planned: PlannedCall, caller: Caller, part: int
    ) -> Approval:
        request = Request(
            call=planned,
            thread_id=self.thread_id,
            interrupt_id=action.action_id,
            part=part,
            # Nobody approves the calls of a client that is their own.
            asked_by=caller.owner or caller.name,
            # All who approve have to see the same call.
            allowed=("approve", "reject") if planned.needs_several else USUAL_DECISIONS,
            client=action.client,
        )
        return await self._approvals.request(request)

    async def _wait(self, action: Action, approval: Approval) -> None:
        tracing.note(approval_id=approval.approval_id)
        message = (
            f"A colleague has to approve this first: {approval.call.summary.rstrip('.')}. "
            "Get the action again, or repeat the call, to learn what they decide."
        )
        changes = {"approval_id": approval.approval_id, "expires_at": approval.expires_at}
        await self._store.update(action, status="pending", message=message, **changes)
        await self._emit_once(interrupt_event(approval, dict(NO_USAGE), None))
        if not self._has_ended:
            await self._complete()

    async def _wait_for_unfreezing(self, action: Action, approval: Approval) -> None:
        self._is_parked = True
        message = (
            f"This is approved: {approval.call.summary.rstrip('.')}. Changes are frozen at the moment, so it "
            "is carried out later, by itself."
        )
        await self._store.update(action, status="pending", message=message)
        await self._complete()

    async def _escalate_expired(self, approval: Approval) -> None:
        if approval.status == "expired" and approval.call.on_expiry == "escalate":
            summary = approval.call.summary.rstrip(".")
            reason = f"Nobody decided in time, so this was not carried out: {summary}."
            delivered = await self._escalate(self.thread_id, reason, approval.approval_id, kind="expired")
            await self._emit_once(Escalation(reason=reason, delivered=delivered, kind="expired"))

    # Ends

    async def _settle(self, action: Action, result: CallResult) -> None:
        self._customer_id = result.customer_id or self._customer_id
        await self._emit_once(result_event(result))
        if result.escalation is not None:
            await self._emit_once(result.escalation)
        changes = settled(result)
        if changes["status"] == "done" and self._is_edited:
            changes["message"] = EDITED
        await self._store.update(
            action,
            **changes,
            is_forbidden=int(result.is_forbidden),
            approval_id=result.approval_id or action.approval_id,
        )
        log.info("action_settled", action_id=action.action_id, status=changes["status"])
        await self._complete()

    async def _report(self, action: Action) -> None:
        """Record the result of an action that was settled when a crash cut its turn off."""
        content = as_text(action.result) if action.status == "done" else action.message or ""
        await self._emit_once(
            ToolResult(
                agent=action.caller,
                tool=action.tool,
                tool_call_id=action.action_id,
                status=_RESULT_STATUS.get(action.status, "error"),
                content=content,
            )
        )
        await self._complete()

    async def _complete(self) -> None:
        await self.emit(MessageComplete(usage=dict(NO_USAGE), duration_ms=self._elapsed_ms()))

    async def _fail(self, code: str, message: str, error: Exception) -> None:
        log.error("action_failed", code=code, error=repr(error), exc_info=error.__cause__ or error)
        tracing.failed(error)
        if not self._has_ended:
            await self.emit(Failure(code=code, message=message))

    async def _before_work(self) -> None:
        """Do nothing: nobody takes such a thread over."""

    def _after_end(self) -> None:
        """Do nothing: it has no checkpoints."""

    def _unexpected(self) -> tuple[str, str]:
        return "tool_error", FAILED

    async def _emit_once(self, event: Event, event_id: str | None = None) -> None:
        """Record an event, unless it was recorded before a crash."""
        key = _key(event)
        if key is None or key not in self._recorded:
            await self.emit(event, event_id)
        if key is not None:
            self._recorded.add(key)

    async def _left_out(self, records: Sequence[Record]) -> str | None:
        """The action of a turn that has left no event: they are stored after what they are about."""
        recorded = {_key(record.event) for record in records}
        actions = await self._store.of_thread(self.thread_id)
        # Those that the policy gave at once have another id, and no event.
        ids = {action.action_id for action in actions}
        for approval in await self._approvals.of_thread(self.thread_id):
            if approval.interrupt_id in ids and ("interrupt", approval.approval_id) not in recorded:
                return approval.interrupt_id
        for action in actions:
            if action.is_settled and not _has_result(action, records):
                return action.action_id
        return None

    async def _action_of(self, own: Sequence[Event]) -> str | None:
        """The action that a turn was about."""
        for event in own:
            if isinstance(event, ToolCall):
                return event.tool_call_id
            if isinstance(event, Decision):
                return (await self._approvals.get(event.approval_id)).interrupt_id
        return None


def call_event(action: Action) -> ToolCall:
    """The event of an action's call."""
    return ToolCall(
        agent=action.caller, tool=action.tool, args=dict(action.args), tool_call_id=action.action_id
    )


def result_event(result: CallResult) -> ToolResult:
    """The event of what came of an action's call."""
    return ToolResult(
        agent=result.agent,
        tool=result.tool,
        tool_call_id=result.tool_call_id,
        status=result.status,
        content=result.whole or result.text,
        duration_ms=result.duration_ms,
        policy=result.policy,
        error_class=result.error_class,
    )


def settled(result: CallResult) -> dict[str, Any]:
    """What a result changes in its action."""
    is_done = _status(result) == "done"
    return {
        "status": _status(result),
        "result": _kept(result) if is_done else None,
        "message": None if is_done else result.text,
        "settled_at": clock.rfc3339(clock.now()),
    }


def _key(event: Event) -> tuple[str, str] | None:
    """Equal for two events that are the same fact; None for one that no other is."""
    if isinstance(event, ToolCall | ToolResult):
        return event.type, event.tool_call_id
    if isinstance(event, Interrupt | Decision):
        return event.type, event.approval_id
    return (event.type, event.reason) if isinstance(event, Escalation) else None


def _has_result(action: Action, records: Sequence[Record]) -> bool:
    key = ("tool_result", action.action_id)
    return any(_key(record.event) == key for record in records)


def _refusal(action: Action, approval: Approval) -> CallResult:
    status: ToolStatus = "expired" if approval.status == "expired" else "rejected"
    text = refusal_text(action.tool, status, approval.decided_by)
    if approval.reason:
        text += f" Reason: {approval.reason}"
    return CallResult(
        tool_call_id=action.action_id,
        tool=action.tool,
        agent=action.caller,
        status=status,
        text=text,
        customer_id=approval.call.customer_id,
        approval_id=approval.approval_id,
    )


def _status(result: CallResult) -> Status:
    if result.is_unknown:
        return "outcome_unknown"
    return _STATUS.get(result.status, "failed")


def _kept(result: CallResult) -> Any:
    """A result as it is stored: as it is, or of a large one what a model is given, as text."""
    return result.value if len(orjson.dumps(result.value, default=str)) <= KEPT_CHARS else result.text
