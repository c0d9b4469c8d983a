"""Starts the turns that no message starts: expired approvals, turns that a crash cut off, and failover."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import structlog

from smart_support.approvals.approval import Approval
from smart_support.approvals.freezes import Freezes
from smart_support.approvals.queue import ApprovalQueue
from smart_support.conversation.limits import RECOVERIES_AT_ONCE, WorkLimit
from smart_support.conversation.recorded_turn import RecordedTurn
from smart_support.conversation.sessions import Session, SessionManager
from smart_support.conversation.turn_runner import TurnRunner
from smart_support.observability import log
from smart_support.storage.coordination.base import Locks

logger = log.get_logger()
SECONDS_BETWEEN_CHECKS = 1.0
_OfThread = TypeVar("_OfThread", Session, Approval)


class Recovery:
    """Finds conversations that can go on by themselves, and starts their turns, a few at a time."""

    def __init__(
        self,
        *,
        turns: TurnRunner,
        sessions: SessionManager,
        approvals: ApprovalQueue,
        freezes: Freezes,
        locks: Locks,
        is_single_process: bool,
    ) -> None:
        self._turns = turns
        self._sessions = sessions
        self._approvals = approvals
        self._freezes = freezes
        self._locks = locks
        self._is_single_process = is_single_process
        self._limit = WorkLimit(RECOVERIES_AT_ONCE)
        self._recovering: set[str] = set()

    @property
    def remaining(self) -> int:
        """The number of threads on which what a crash cut off before the start is not finished yet."""
        self._recovering = {one for one in self._recovering if self._turns.has_turn(one)}
        return len(self._recovering)

    async def expire_forever(self) -> None:
        """Expire approvals when they are due, and resume their conversations."""
        while True:
            try:
                await self._approvals.wait_until_due()
                if self._turns.is_closing:
                    return
                for approval in await self._approvals.expire_due():
                    self._resume(approval)
            except Exception as error:
                logger.error("expiry_failed", error=repr(error))
                await asyncio.sleep(1)

    async def resume_unfrozen_forever(self) -> None:
        """Resume parked calls when the freeze that holds them is lifted."""
        changed = asyncio.Event()
        self._freezes.subscribe(lambda _: changed.set())
        while True:
            await changed.wait()
            changed.clear()
            if self._turns.is_closing:
                return
            try:
                await self._resume_unfrozen()
            except Exception as error:
                logger.error("unfreezing_failed", error=repr(error))
                await asyncio.sleep(1)
                changed.set()

    async def _resume_unfrozen(self) -> None:
        approvals = await self._approvals.not_resumed(parked_only=True)
        # Other processes have seen the change, too; what all of them leave out is taken over.
        for approval in approvals if self._is_single_process else await self._idle(approvals):
            self._resume(approval)

    async def recover(self) -> None:
        """Finish turns that a crash cut off, and resume those decided since. Call before serving."""
        self._recovering = await self._start_unfinished()

    async def take_over_forever(self) -> None:
        """Finish what other processes leave unfinished when they end or lose the database."""
        self._locks.when_lost(self._turns.cancel_all)
        while not self._turns.is_closing:
            await asyncio.sleep(SECONDS_BETWEEN_CHECKS)
            try:
                await self._start_unfinished()
            except Exception as error:
                logger.error("recovery_failed", error=repr(error))

    async def _start_unfinished(self) -> set[str]:
        """Start them all, and return their threads.

        A turn that is finished resumes the decided approvals of its thread, unless it had only its end to be
        recorded. So each approval gets a turn of its own behind it, which does nothing where that is done.
        """
        sessions = await self._idle(await self._sessions.in_turn())
        approvals = await self._idle(await self._approvals.not_resumed())
        for session in sessions:
            logger.warning("turn_recovered", thread_id=session.thread_id, turn_id=session.turn_id)
            channel = session.turn_channel or "system"
            self._turns.start(session.thread_id, channel, self._limit.wrap(_finish), recovering=session)
        taken = await self._idle(await self._sessions.with_unrecorded_takeovers())
        for session in taken:
            self._turns.start(session.thread_id, "system", self._limit.wrap(_finish_takeover))
        for approval in approvals:
            self._resume(approval)
        return {one.thread_id for one in (*sessions, *taken)} | {one.thread_id for one in approvals}

    def _resume(self, approval: Approval) -> None:
        async def resume(turn: RecordedTurn) -> None:
            await turn.resume(approval)

        with structlog.contextvars.bound_contextvars(approval_id=approval.approval_id):
            self._turns.start(approval.thread_id, "system", self._limit.wrap(resume))

    async def _idle(self, items: Sequence[_OfThread]) -> list[_OfThread]:
        """Those of threads on which no turn runs, here or on another process."""
        held = await self._locks.held({one.thread_id for one in items})
        return [one for one in items if one.thread_id not in held and not self._turns.has_turn(one.thread_id)]


async def _finish(turn: RecordedTurn) -> None:
    await turn.finish()


async def _finish_takeover(turn: RecordedTurn) -> None:
    await turn.finish_takeover()
