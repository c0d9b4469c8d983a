"""What REST and MCP call: request an action, get it, wait for it, follow its events."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from smart_support import clock
from smart_support.actions.action import Action, ActionRequest, call_digest
from smart_support.actions.callers import Callers
from smart_support.actions.direct_reads import MAX_EVENTS, DirectReads
from smart_support.actions.store import ActionStore
from smart_support.actions.turn import ActionTurn
from smart_support.approvals.disabled_callers import DisabledCallers
from smart_support.conversation.broadcast import Broadcast, Listener
from smart_support.conversation.limits import Limits, checked_thread_id
from smart_support.conversation.recorded_turn import RecordedTurn
from smart_support.conversation.sessions import SessionManager
from smart_support.conversation.turn_runner import NOT_TAKEN, TurnRunner
from smart_support.errors import NotFound, ShuttingDown
from smart_support.events import Decision, Interrupt, Shown, ToolCall, ToolResult
from smart_support.gate.caller import Caller
from smart_support.gate.gate import Gate
from smart_support.identity.customer_tokens import CustomerTokens, VerifiedCustomer
from smart_support.identity.users import User
from smart_support.observability.log import get_logger
from smart_support.storage.coordination.base import Locks
from smart_support.tools.registry import Access, Tool

log = get_logger()
# How long a request waits until its action is done or waits for a decision. Longer than any tool may take.
PLANNING_SECONDS = 40.0
SECONDS_BETWEEN_CHECKS = 1.0


class Actions:
    """Actions of API clients. The turn runner runs them: a client that goes away changes nothing.

    Attributes:
        callers: who may request actions.
    """

    def __init__(
        self,
        *,
        callers: Callers,
        tokens: CustomerTokens,
        sessions: SessionManager,
        store: ActionStore,
        gate: Gate,
        turns: TurnRunner,
        broadcast: Broadcast,
        limits: Limits,
        locks: Locks,
        disabled: DisabledCallers,
        reads: DirectReads,
    ) -> None:
        self.callers = callers
        self._disabled = disabled
        self._tokens = tokens
        self._sessions = sessions
        self._store = store
        self._gate = gate
        self._turns = turns
        self._broadcast = broadcast
        self._limits = limits
        self._locks = locks
        self._reads = reads
        self._adding: set[asyncio.Task[Action]] = set()
        self._listeners: set[Listener] = set()

    async def request(self, user: User, request: ActionRequest) -> Action:
        """Request a tool call. Returns once it is done, waits for a decision, or has run for long.

        A repeated write joins the action that there is; see `ActionStore.add_or_join`.

        Raises:
            NotFound: the caller has no such tool, or the thread is somebody else's.
            InvalidArguments, InvalidThreadId, InvalidCustomerToken: the request does not fit.
            CustomerMismatch: the thread belongs to another customer.
            IdempotencyConflict: the key was used for another call.
            RateLimited, TooManyPending: these are too many calls.
            CallerDisabled: the caller's key is disabled.
            ShuttingDown: the process is about to end.
        """
        caller = self.callers.of(user)
        if caller.limits.calls_per_minute is not None:
            await self._limits.count_call(caller.name, caller.limits.calls_per_minute)
        tool, args = self._gate.checked(caller, request.tool, request.args)
        action_id = clock.new_id()
        thread_id = self._thread_of(caller, request.thread_id, action_id)
        customer = self._tokens.verified(request.customer_token, thread_id)
        bound_id = customer.id if customer else None
        if request.thread_id is not None:
            bound_id = await self._bound_customer(thread_id, user, customer)
        self._turns.check_open()
        new = Action(
            action_id=action_id,
            caller=caller.name,
            thread_id=thread_id,
            channel=request.channel,
            tool=tool.name,
            access=tool.access,
            args=args,
            call_digest=call_digest(caller=caller.name, customer=bound_id, tool=tool.name, args=args),
            idempotency_key=request.idempotency_key,
            client=request.client.wire(),
            requested_at=clock.rfc3339(clock.now()),
        )
        if request.thread_id is None and tool.access is Access.READ:
            await self._disabled.check_recent(caller.name)
            return await self._read(new, tool, caller, customer)
        # A client that goes away in between must not leave an action on record that nobody runs.
        adding = asyncio.create_task(self._add_and_start(new, customer, caller.limits.max_pending))
        self._adding.add(adding)
        adding.add_done_callback(self._adding.discard)
        return await self._until(await asyncio.shield(adding), "running", PLANNING_SECONDS)

    async def _read(
        self, new: Action, tool: Tool, caller: Caller, customer: VerifiedCustomer | None
    ) -> Action:
        """Do a read on a thread of its own, and return it; one that takes long is put on record meanwhile."""
        reading = self._turns.start_alone(new.thread_id, lambda: self._reads.run(new, tool, caller, customer))
        await asyncio.wait({reading}, timeout=PLANNING_SECONDS)
        if not reading.done():
            reading.add_done_callback(_log_failure)
            return await self._store.add_running(new, customer, MAX_EVENTS)
        if reading.cancelled():
            raise ShuttingDown(NOT_TAKEN)
        return reading.result()

    async def _add_and_start(
        self, new: Action, customer: VerifiedCustomer | None, max_pending: int
    ) -> Action:
        action = await self._store.add_or_join(new, customer, max_pending=max_pending)
        if action.joined:
            log.info("action_joined", action_id=action.action_id, caller=action.caller)
        else:
            log.info("action_requested", action_id=action.action_id, caller=action.caller, tool=action.tool)
            self._start(action)
        return action

    async def get(self, user: User, action_id: str, wait_seconds: float = 0) -> Action:
        """An action of the user's, as soon as it is settled, or as it is after `wait_seconds`.

        Raises:
            NotFound: there is none, or it is another caller's.
            CallerDisabled: the caller's key is disabled.
        """
        return await self.wait(await self._store.get(action_id, user.name), wait_seconds)

    async def callers_of(self, thread_id: str) -> dict[str, dict[str, Any]]:
        """See `ActionStore.callers_of`."""
        return await self._store.callers_of(thread_id)

    async def wait(self, action: Action, seconds: float) -> Action:
        """The action as soon as it is settled, or as it is after `seconds`.

        Raises:
            CallerDisabled: the caller's key is disabled.
        """
        await self._disabled.check(action.caller)
        waited = await self._until(action, "unsettled", seconds)
        if waited is not action:
            await self._disabled.check(action.caller)
        return replace(waited, joined=action.joined)

    async def tools(self, user: User) -> list[Tool]:
        """The tools that a user may call, by name.

        Raises:
            CallerDisabled: the caller's key is disabled.
        """
        caller = self.callers.of(user)
        await self._disabled.check(caller.name)
        return self.callers.tools(caller)

    async def events(self, user: User, action_id: str) -> AsyncIterator[Shown]:
        """The events of an action, from its request on, until it is settled or its caller is disabled.

        Raises:
            NotFound: there is none, or it is another caller's.
            CallerDisabled: the caller's key is disabled.
        """
        action = await self._store.get(action_id, user.name)
        await self._disabled.check(action.caller)
        listener = self._broadcast.listen(action.thread_id)
        self._listeners.add(listener)
        turns: set[str | None] = set()
        approvals: set[str] = set()
        try:
            is_settled = (await self._store.get(action_id)).is_settled
            if is_settled:
                listener.put(None)
            async for shown in self._broadcast.caught_up(action.thread_id, 0, listener):
                if shown is None:
                    if is_settled or self.is_closing:
                        return
                    continue
                event = shown.event
                is_own = isinstance(event, ToolCall | ToolResult) and event.tool_call_id == action_id
                is_own = is_own or (isinstance(event, Decision) and event.approval_id in approvals)
                if is_own:
                    turns.add(shown.turn_id)
                if shown.turn_id not in turns:
                    continue
                await self._disabled.check(action.caller)
                if isinstance(event, Interrupt):
                    approvals.add(event.approval_id)
                yield shown
                ends_action = event.ends_turn and not isinstance(event, Interrupt)
                if ends_action and (await self._store.get(action_id)).is_settled:
                    return
        finally:
            self._listeners.discard(listener)
            self._broadcast.leave(action.thread_id, listener)

    @property
    def is_closing(self) -> bool:
        """Whether the process is about to end, so that nobody should wait any longer."""
        return self._turns.is_closing

    def stop_waiting(self) -> None:
        """End all waits, because the process is about to end."""
        for listener in tuple(self._listeners):
            listener.put(None)

    # What a crash cut off

    async def recover(self) -> None:
        """Go on with the actions that a crash cut off. Call it before serving, after `Recovery.recover`."""
        await self._recover(await self._store.running())

    async def _recover(self, running: Sequence[Action]) -> None:
        held = await self._locks.held({one.thread_id for one in running})
        for action in running:
            if action.thread_id not in held:
                log.warning("action_recovered", action_id=action.action_id)
                self._start(action, is_recovery=True)

    async def take_over_forever(self) -> None:
        """Go on with the actions that other processes leave when they end."""
        while not self._turns.is_closing:
            await asyncio.sleep(SECONDS_BETWEEN_CHECKS)
            try:
                running = await self._store.running()
                await self._recover([one for one in running if not self._turns.has_turn(one.thread_id)])
            except Exception as error:
                log.error("action_recovery_failed", error=repr(error))

    def _start(self, action: Action, *, is_recovery: bool = False) -> None:
        async def advance(turn: RecordedTurn) -> None:
            assert isinstance(turn, ActionTurn)
            await (turn.catch_up if is_recovery else turn.advance)(action.action_id)

        self._turns.start(action.thread_id, action.channel, advance)

    async def _until(self, action: Action, waits_while: str, seconds: float) -> Action:
        """The action once it is over, or as it is after `seconds`.

        Over is: settled (`unsettled`), or settled or pending (`running`). It waits for the events of the
        thread, so that it costs nothing meanwhile.
        """

        def is_over(one: Action) -> bool:
            return one.is_settled or (waits_while == "running" and one.status != "running")

        if is_over(action) or not seconds:
            return action
        joined = action.joined
        listener = self._broadcast.listen(action.thread_id)
        self._listeners.add(listener)
        try:
            action = await self._store.get(action.action_id)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not is_over(action):
                        shown = await listener.next()
                        if shown is None or shown.event.ends_turn:
                            action = await self._store.get(action.action_id)
                        if shown is None and self.is_closing:
                            break
            return replace(action, joined=joined)
        finally:
            self._listeners.discard(listener)
            self._broadcast.leave(action.thread_id, listener)

    async def _bound_customer(
        self, thread_id: str, user: User, customer: VerifiedCustomer | None
    ) -> str | None:
        """The customer of a thread that there may be already: as a token says, or as it is bound."""
        await self._sessions.check_customer(thread_id, user, customer)
        bound = customer or await self._sessions.customer_of(thread_id)
        return bound.id if bound else None

    def _thread_of(self, caller: Caller, thread_id: str | None, action_id: str) -> str:
        """The thread of a new action: a given one has to begin as the caller's threads do."""
        if thread_id is None:
            return f"{caller.thread_prefix}{action_id}"
        if not checked_thread_id(thread_id).startswith(caller.thread_prefix):
            raise NotFound(f"thread {thread_id}: there is no such thread of yours; use another thread_id")
        return thread_id


def _log_failure(reading: asyncio.Task[Action]) -> None:
    """Log why a read has failed that nobody waits for any more; the next start does it again."""
    if not reading.cancelled() and (error := reading.exception()):
        log.error("read_failed", error=repr(error))
