"""Turns that nobody asked for just now: what has expired, what a crash cut off, what other processes left.

How a turn runs is in `turns.py`; here is what has to be found and begun, and how much of it at once.
"""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import structlog

from smart_support.approvals.approval import Approval
from smart_support.approvals.queue import ApprovalQueue
from smart_support.conversation.limits import UNASKED_AT_ONCE, Room
from smart_support.conversation.recorder import Recorder
from smart_support.conversation.sessions import Session, SessionManager
from smart_support.conversation.turn import Course
from smart_support.conversation.turn_runner import TurnRunner
from smart_support.observability import log
from smart_support.storage.coordination.base import Locks

logger = log.get_logger()
SECONDS_BETWEEN_LOOKS = 1.0
_OfThread = TypeVar("_OfThread", Session, Approval)


class Unasked:
    """Finds such turns and has them run."""

    def __init__(
        self,
        *,
        turns: TurnRunner,
        course: Course,
        sessions: SessionManager,
        approvals: ApprovalQueue,
        locks: Locks,
    ) -> None:
        self._turns = turns
        self._course = course
        self._sessions = sessions
        self._approvals = approvals
        self._locks = locks
        self._room = Room(UNASKED_AT_ONCE)
        self._cut_off: set[str] = set()

    @property
    def recovering(self) -> int:
        """On how many threads what a crash had cut off before the start is not finished yet."""
        self._cut_off = {thread_id for thread_id in self._cut_off if self._turns.here(thread_id)}
        return len(self._cut_off)

    async def expire_forever(self) -> None:
        """Expire approvals when they are due, and let their conversations go on."""
        while True:
            try:
                await self._approvals.wait_until_due()
                if self._turns.closing:
                    return
                for approval in await self._approvals.expire_due():
                    self._take_up(approval)
            except Exception as error:
                logger.error("expiry_failed", error=repr(error))
                await asyncio.sleep(1)

    async def recover(self) -> None:
        """Finish what a crash cut off: turns, and decisions no turn has taken up. Call before doors open."""
        self._cut_off = await self._begin_what_was_left()

    async def take_over_forever(self) -> None:
        """Finish what other processes leave behind when they end or lose the database."""
        self._locks.when_lost(self._turns.let_go)
        while not self._turns.closing:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            try:
                await self._begin_what_was_left()
            except Exception as error:
                logger.error("recovery_failed", error=repr(error))

    async def _begin_what_was_left(self) -> set[str]:
        """Begin it all, and give the threads it is on; turns come first, which take up their decisions."""
        cut_off = await self._unheld(await self._sessions.left_behind())
        for session in cut_off:
            logger.warning("turn_recovered", thread_id=session.thread_id, turn_id=session.turn_id)
            channel, work = session.turn_channel or "system", self._room.within(self._course.finish)
            self._turns.start(session.thread_id, channel, work, recovering=session)
        decided = await self._unheld(await self._approvals.not_resumed())
        for approval in decided:
            self._take_up(approval)
        return {one.thread_id for one in cut_off} | {one.thread_id for one in decided}

    def _take_up(self, approval: Approval) -> None:
        async def resume(recorder: Recorder) -> None:
            await self._course.resume(recorder, approval)

        work = self._room.within(resume)
        with structlog.contextvars.bound_contextvars(approval_id=approval.approval_id):
            self._turns.start(approval.thread_id, "system", work)

    async def _unheld(self, found: Sequence[_OfThread]) -> list[_OfThread]:
        """Those of threads on which no turn runs, here or elsewhere: nobody else will see to them."""
        held = await self._locks.held({one.thread_id for one in found})
        return [one for one in found if one.thread_id not in held and not self._turns.here(one.thread_id)]
