"""What happens on other processes, shown here as if it had happened here; and the other way about.

Recorded events are read from the log when it tells of news; tokens, which are in no log until their message
is whole, are passed on to the processes where somebody listens. What is missed is read later.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from smart_support.approvals.queue import ApprovalQueue
from smart_support.concurrency import end_tasks
from smart_support.conversation.broadcast import Broadcast, as_shown
from smart_support.errors import SmartSupportError
from smart_support.escalations.escalations import Escalations
from smart_support.events import Message, Record, Shown, Token, TokenRecord
from smart_support.observability.log import get_logger
from smart_support.storage.coordination.base import MISSED, Bus, Handler
from smart_support.storage.events.base import EventStore

log = get_logger()

NEWS, TOKEN, REST, LISTENING, WHO = "events", "token", "rest", "listening", "who_listens"
APPROVAL, ESCALATION, TOOLS = "approval", "escalation", "tools"
# Thread ids of the longest kind that fit into one word on the bus.
_AT_ONCE = 40
_RECENT = 50
SECONDS_FOR_TOKENS = 0.25

_Step = Callable[[], Awaitable[None]]


@dataclass
class _Following:
    """One thread that is listened to here.

    Attributes:
        shown: the highest number that came from elsewhere.
        early: tokens, of which it is not known yet that all before them is durable.
    """

    thread_id: str
    shown: int = 0
    early: deque[TokenRecord] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    steps: deque[_Step] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class Relay:
    """Between one process' listeners and all other processes."""

    def __init__(
        self,
        bus: Bus,
        broadcast: Broadcast,
        event_log: EventStore,
        approvals: ApprovalQueue,
        escalations: Escalations,
        tools_changed: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        """`tools_changed`: awaited when another process has put imported tools to use."""
        self._bus = bus
        self._broadcast = broadcast
        self._log = event_log
        self._approvals = approvals
        self._escalations = escalations
        self._tools_changed = tools_changed
        self._following: dict[str, _Following] = {}
        self._elsewhere: dict[str, set[str]] = defaultdict(set)
        self._tasks: set[asyncio.Task[None]] = set()
        self._repeating = False

    def open(self) -> None:
        """Begin."""
        heard: dict[str, Handler] = {
            NEWS: self._news,
            TOKEN: self._token,
            REST: self._rest,
            MISSED: self._missed,
            LISTENING: self._listening,
            WHO: lambda _: self._say_what_is_listened(),
            APPROVAL: self._approval,
            ESCALATION: self._escalation,
            TOOLS: self._tools,
        }
        for topic, hear in heard.items():
            self._bus.subscribe(topic, hear)
        self._broadcast.neighbours = self
        self._approvals.watch(lambda one: self._say(APPROVAL, id=one.approval_id))
        self._escalations.subscribe(lambda one: self._say(ESCALATION, id=one.escalation_id))
        self._bus.publish(WHO)

    async def close(self) -> None:
        """Show nothing more of what happens elsewhere."""
        self._broadcast.neighbours = None
        await end_tasks(*self._tasks)

    # What happens here

    def said(self, token: TokenRecord, *, now: bool) -> None:
        """As `Neighbours` has it."""
        if token.thread_id in self._elsewhere:
            self._pass_on(token, now)

    def rested(self, thread_id: str) -> None:
        """As `Neighbours` has it."""
        if thread_id in self._elsewhere:
            self._bus.publish(REST, thread=thread_id)

    def listening(self, thread_id: str, *, on: bool) -> None:
        """As `Neighbours` has it."""
        if on:
            self._following.setdefault(thread_id, _Following(thread_id))
        else:
            self._following.pop(thread_id, None)
        self._bus.publish(LISTENING, threads=[thread_id], who=self._bus.name, on=on)

    def tools_changed(self) -> None:
        """Imported tools were put to use here, or taken out of use."""
        self._bus.publish(TOOLS)

    def _pass_on(self, token: TokenRecord, now: bool) -> None:
        self._bus.publish(
            TOKEN,
            now=now,
            thread=token.thread_id,
            seq=token.seq,
            first=token.first_seq,
            turn=token.turn_id,
            agent=token.event.agent,
            text=token.event.content,
        )

    def _say(self, topic: str, **what: Any) -> None:
        if not self._repeating:
            self._bus.publish(topic, **what)

    def _say_what_is_listened(self) -> None:
        threads = self._broadcast.listened
        for start in range(0, len(threads), _AT_ONCE):
            some = threads[start : start + _AT_ONCE]
            self._bus.publish(LISTENING, threads=some, who=self._bus.name, on=True)

    # What happens elsewhere

    def _listening(self, what: dict[str, Any]) -> None:
        for thread_id in what["threads"]:
            if what["on"]:
                self._elsewhere[thread_id].add(what["who"])
                for token in self._broadcast.open_tokens(thread_id):
                    self._pass_on(token, now=True)
            else:
                self._elsewhere[thread_id].discard(what["who"])
                if not self._elsewhere[thread_id]:
                    del self._elsewhere[thread_id]

    def _news(self, what: dict[str, Any]) -> None:
        for thread_id, (first, _) in what["threads"].items():
            self._then(thread_id, partial(self._read, first=first))

    def _token(self, what: dict[str, Any]) -> None:
        event = Token(agent=what["agent"], content=what["text"])
        token = TokenRecord(what["thread"], what["seq"], event, what["turn"], what["first"])

        if following := self._following.get(token.thread_id):
            following.early.append(token)
            following.arrived.set()
            if what["now"]:
                self._then(token.thread_id, partial(self._show_early, upto=token.seq))

    def _rest(self, what: dict[str, Any]) -> None:
        async def show(following: _Following) -> None:
            self._broadcast.repeat(following.thread_id, None)

        self._then(what["thread"], show)

    def _missed(self, _: dict[str, Any]) -> None:
        """Nobody knows what was said: look again at all that is looked at here."""
        self._say_what_is_listened()
        self._bus.publish(WHO)
        for following in self._following.values():
            if following.shown:
                self._then(following.thread_id, lambda of: self._read(of, of.shown + 1))
        self._do(self._look_again())

    async def _look_again(self) -> None:
        waiting = await self._approvals.list("pending", limit=1000)
        for approval in (*waiting, *await self._approvals.recently_decided(_RECENT)):
            self._repeat(partial(self._approvals.tell, approval))
        await self._tools_changed()

    def _tools(self, _: dict[str, Any]) -> None:
        self._do(self._tools_changed())

    def _approval(self, what: dict[str, Any]) -> None:
        async def tell() -> None:
            approval = await self._approvals.get(what["id"])
            self._repeat(partial(self._approvals.tell, approval))

        self._do(tell())

    def _escalation(self, what: dict[str, Any]) -> None:
        async def tell() -> None:
            recorded = await self._escalations.get(what["id"])
            self._repeat(partial(self._escalations.notify, recorded))

        self._do(tell())

    def _repeat(self, tell: Callable[[], None]) -> None:
        """Tell those who watch here, and not the others again."""
        self._repeating = True
        try:
            tell()
        finally:
            self._repeating = False

    async def _read(self, following: _Following, first: int) -> None:
        """Show what the log holds from `first` on; of a message, what was not passed on in tokens."""
        for record in await self._log.read(following.thread_id, first - 1):
            if _is_spoken(record):
                await self._wait_for_tokens(following, record.seq)
                await self._show_early(following, record.seq)
            if record.seq > following.shown:
                following.shown = record.seq
                self._broadcast.repeat(following.thread_id, self._unheard(record))
            if _is_spoken(record):
                # Now it is whole, its tokens need not be kept for those who come later.
                self._broadcast.repeat(following.thread_id, record)
        while following.early and following.early[0].seq <= following.shown + 1:
            await self._show_early(following, following.early[0].seq)

    async def _wait_for_tokens(self, following: _Following, last: int) -> None:
        """They were said before their message was recorded, but may come after it: for a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS_FOR_TOKENS):
                while following.shown < last and not any(one.seq >= last for one in following.early):
                    following.arrived.clear()
                    await following.arrived.wait()

    async def _show_early(self, following: _Following, upto: int) -> None:
        """Show the tokens up to a number: all that comes before it is durable."""
        while following.early and following.early[0].seq <= upto:
            token = following.early.popleft()
            if token.seq > following.shown:
                following.shown = token.seq
                self._broadcast.repeat(following.thread_id, token)

    def _unheard(self, record: Record) -> Shown:
        shown = as_shown(record)
        if isinstance(shown, TokenRecord):
            covered = range(shown.first_seq, shown.seq + 1)
            tokens = [one for one in self._broadcast.open_tokens(record.thread_id) if one.seq in covered]
            heard = "".join(token.event.content for token in tokens)
            if shown.event.content.startswith(heard):
                shown.event = replace(shown.event, content=shown.event.content[len(heard) :])
        return shown

    def _then(self, thread_id: str, show: Callable[[_Following], Awaitable[None]]) -> None:
        """Show something of a thread after all that came before, if anybody listens to it here."""
        following = self._following.get(thread_id)
        if following is None:
            return
        following.steps.append(lambda: show(following))
        if following.task is None:
            following.task = self._do(self._step(following))

    async def _step(self, following: _Following) -> None:
        while following.steps:
            try:
                await following.steps.popleft()()
            except SmartSupportError as error:
                log.error("not_relayed", thread_id=following.thread_id, error=error.message)
        following.task = None

    def _do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _is_spoken(record: Record) -> bool:
    return isinstance(record.event, Message) and record.event.role == "agent"
