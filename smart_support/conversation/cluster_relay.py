"""Relays events between the processes of a cluster, so that listeners see those of every process.

Recorded events are read from the log when it announces them. Tokens, which are in no log until their message
is whole, are sent to the processes that have listeners. What a process has missed it reads later.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from smart_support.approvals.freezes import Freezes
from smart_support.approvals.queue import ApprovalQueue
from smart_support.concurrency import end_tasks
from smart_support.conversation.broadcast import Broadcast, as_shown
from smart_support.conversation.sessions import SessionManager
from smart_support.errors import StorageFailed
from smart_support.escalations.escalations import Escalations
from smart_support.events import Message, Record, Shown, Token, TokenRecord
from smart_support.observability.log import get_logger
from smart_support.storage.coordination.base import MISSED, Bus, Handler
from smart_support.storage.events.base import EventStore
from smart_support.storage.failures import is_store_failure

log = get_logger()

# Topics of the bus.
EVENTS, TOKEN, REST, LISTENING = "events", "token", "rest", "listening"
LISTENERS_QUERY = "who_listens"
APPROVAL, ESCALATION, SESSION = "approval", "escalation", "session"
TOOLS, FREEZES, BOUND = "tools", "freezes", "bound"
# Thread ids of the longest kind that fit into one message of the bus.
_THREADS_A_MESSAGE = 40
_RECENT_DECISIONS = 50
SECONDS_FOR_TOKENS = 0.25
SECONDS_BETWEEN_TRIES = 0.5

_Work = Callable[[], Awaitable[None]]


@dataclass
class _Feed:
    """What other processes send of one thread that has listeners here.

    Attributes:
        last_seq: the highest number shown of it.
        early: tokens of which it is not known yet that every event before them is durable.
        work: what is still to be shown, in order.
    """

    thread_id: str
    last_seq: int = 0
    early: deque[TokenRecord] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    work: deque[_Work] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class ClusterRelay:
    """Connects the listeners of this process with the turns of all others, and the other way round."""

    def __init__(
        self,
        bus: Bus,
        broadcast: Broadcast,
        event_log: EventStore,
        approvals: ApprovalQueue,
        escalations: Escalations,
        sessions: SessionManager,
        freezes: Freezes,
        tools_changed: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        """`tools_changed`: awaited when another process has put imported tools to use."""
        self._bus = bus
        self._broadcast = broadcast
        self._log = event_log
        self._approvals = approvals
        self._escalations = escalations
        self._sessions = sessions
        self._freezes = freezes
        self._tools_changed = tools_changed
        self._feeds: dict[str, _Feed] = {}
        self._elsewhere: dict[str, set[str]] = defaultdict(set)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_repeating = False

    def open(self) -> None:
        """Start to relay."""
        handlers: dict[str, Handler] = {
            EVENTS: self._events,
            TOKEN: self._token,
            REST: self._rest,
            MISSED: self._missed,
            LISTENING: self._listening,
            LISTENERS_QUERY: lambda _: self._announce_listeners(),
            APPROVAL: self._approval,
            ESCALATION: self._escalation,
            SESSION: self._session,
            TOOLS: self._tools,
            FREEZES: self._frozen_or_lifted,
            BOUND: self._bound,
        }
        for topic, handler in handlers.items():
            self._bus.subscribe(topic, handler)
        self._broadcast.peers = self
        self._approvals.subscribe(lambda one: self._announce(APPROVAL, id=one.approval_id))
        self._escalations.subscribe(lambda one: self._announce(ESCALATION, id=one.escalation_id))
        self._sessions.subscribe(lambda thread_id: self._announce(SESSION, thread=thread_id))
        self._sessions.subscribe_to_bindings(lambda thread_id: self._announce(BOUND, thread=thread_id))
        self._freezes.subscribe(lambda _: self._announce(FREEZES))
        self._bus.publish(LISTENERS_QUERY)

    async def close(self) -> None:
        """Stop to relay."""
        self._broadcast.peers = None
        await end_tasks(*self._tasks)

    # From here to other processes

    def token_shown(self, token: TokenRecord, *, now: bool) -> None:
        """See `Peers`."""
        if token.thread_id in self._elsewhere:
            self._pass_on(token, now)

    def thread_rested(self, thread_id: str) -> None:
        """See `Peers`."""
        if thread_id in self._elsewhere:
            self._bus.publish(REST, thread=thread_id)

    def listening_changed(self, thread_id: str, *, is_listening: bool) -> None:
        """See `Peers`."""
        if is_listening:
            self._feeds.setdefault(thread_id, _Feed(thread_id))
        else:
            self._feeds.pop(thread_id, None)
        self._bus.publish(LISTENING, threads=[thread_id], who=self._bus.name, on=is_listening)

    def tools_changed(self) -> None:
        """Announce that imported tools were put to use here, or taken out of use."""
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

    def _announce(self, topic: str, **fields: Any) -> None:
        if not self._is_repeating:
            self._bus.publish(topic, **fields)

    def _announce_listeners(self) -> None:
        threads = self._broadcast.subscribed_threads
        for start in range(0, len(threads), _THREADS_A_MESSAGE):
            some = threads[start : start + _THREADS_A_MESSAGE]
            self._bus.publish(LISTENING, threads=some, who=self._bus.name, on=True)

    # From other processes to here

    def _listening(self, fields: dict[str, Any]) -> None:
        for thread_id in fields["threads"]:
            if fields["on"]:
                self._elsewhere[thread_id].add(fields["who"])
                for token in self._broadcast.open_tokens(thread_id):
                    self._pass_on(token, now=True)
            else:
                self._elsewhere[thread_id].discard(fields["who"])
                if not self._elsewhere[thread_id]:
                    del self._elsewhere[thread_id]

    def _events(self, fields: dict[str, Any]) -> None:
        for thread_id, (first, _) in fields["threads"].items():
            self._then(thread_id, partial(self._read, first=first))

    def _token(self, fields: dict[str, Any]) -> None:
        event = Token(agent=fields["agent"], content=fields["text"])
        token = TokenRecord(fields["thread"], fields["seq"], event, fields["turn"], fields["first"])

        if feed := self._feeds.get(token.thread_id):
            feed.early.append(token)
            feed.arrived.set()
            if fields["now"]:
                self._then(token.thread_id, partial(self._show_early, upto=token.seq))

    def _rest(self, fields: dict[str, Any]) -> None:
        async def show(feed: _Feed) -> None:
            self._broadcast.repeat(feed.thread_id, None)

        self._then(fields["thread"], show)

    def _missed(self, _: dict[str, Any]) -> None:
        """Read again what listeners here see: messages may have been lost."""
        self._announce_listeners()
        self._bus.publish(LISTENERS_QUERY)
        for feed in self._feeds.values():
            if feed.last_seq:
                self._then(feed.thread_id, lambda one: self._read(one, one.last_seq + 1))
        self._start(self._repeat_changes)

    async def _repeat_changes(self) -> None:
        waiting = await self._approvals.list("pending", limit=1000)
        for approval in (*waiting, *await self._approvals.recently_decided(_RECENT_DECISIONS)):
            self._repeat(partial(self._approvals.notify, approval))
        await self._tools_changed()
        await self._freezes.refresh()

    def _tools(self, _: dict[str, Any]) -> None:
        self._start(self._tools_changed)

    def _bound(self, fields: dict[str, Any]) -> None:
        self._repeat(partial(self._sessions.notify_of_binding, fields["thread"]))

    def _frozen_or_lifted(self, _: dict[str, Any]) -> None:
        async def refresh() -> None:
            await self._freezes.refresh()

        self._start(refresh)

    def _approval(self, fields: dict[str, Any]) -> None:
        async def tell() -> None:
            approval = await self._approvals.get(fields["id"])
            self._repeat(partial(self._approvals.notify, approval))

        self._start(tell)

    def _escalation(self, fields: dict[str, Any]) -> None:
        async def tell() -> None:
            recorded = await self._escalations.get(fields["id"])
            self._repeat(partial(self._escalations.notify, recorded))

        self._start(tell)

    def _session(self, fields: dict[str, Any]) -> None:
        self._repeat(partial(self._sessions.notify, fields["thread"]))

    def _repeat(self, tell: Callable[[], None]) -> None:
        """Notify the watchers here, without announcing it to other processes again."""
        self._is_repeating = True
        try:
            tell()
        finally:
            self._is_repeating = False

    async def _read(self, feed: _Feed, first: int) -> None:
        """Show what the log holds from `first` on; of a message, what did not come as tokens."""
        for record in await self._log.read(feed.thread_id, first - 1):
            if _is_agent_message(record):
                await self._wait_for_tokens(feed, record.seq)
                await self._show_early(feed, record.seq)
            if record.seq > feed.last_seq:
                feed.last_seq = record.seq
                self._broadcast.repeat(feed.thread_id, self._unshown_part(record))
            if _is_agent_message(record):
                # Now that it is whole, its tokens need not be kept for later listeners.
                self._broadcast.repeat(feed.thread_id, record)
        while feed.early and feed.early[0].seq <= feed.last_seq + 1:
            await self._show_early(feed, feed.early[0].seq)

    async def _wait_for_tokens(self, feed: _Feed, last: int) -> None:
        """Wait shortly: tokens were sent before their message was recorded, but may arrive after it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS_FOR_TOKENS):
                while feed.last_seq < last and not any(one.seq >= last for one in feed.early):
                    feed.arrived.clear()
                    await feed.arrived.wait()

    async def _show_early(self, feed: _Feed, upto: int) -> None:
        """Show the tokens up to a number: every event before it is durable."""
        while feed.early and feed.early[0].seq <= upto:
            token = feed.early.popleft()
            if token.seq > feed.last_seq:
                feed.last_seq = token.seq
                self._broadcast.repeat(feed.thread_id, token)

    def _unshown_part(self, record: Record) -> Shown:
        """What is shown of a record, less the tokens that were shown before."""
        shown = as_shown(record)
        if isinstance(shown, TokenRecord):
            covered = range(shown.first_seq, shown.seq + 1)
            tokens = [one for one in self._broadcast.open_tokens(record.thread_id) if one.seq in covered]
            text = "".join(token.event.content for token in tokens)
            if shown.event.content.startswith(text):
                shown.event = replace(shown.event, content=shown.event.content[len(text) :])
        return shown

    def _then(self, thread_id: str, show: Callable[[_Feed], Awaitable[None]]) -> None:
        """Show something of a thread after all that came before, if the thread has listeners here."""
        feed = self._feeds.get(thread_id)
        if feed is None:
            return
        feed.work.append(lambda: show(feed))
        if feed.task is None:
            feed.task = self._start(lambda: self._run_work(feed))

    async def _run_work(self, feed: _Feed) -> None:
        while feed.work:
            await self._done(feed.work.popleft())
        feed.task = None

    def _start(self, work: _Work) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._done(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _done(self, work: _Work) -> None:
        """Do it, again while the database fails: nothing else tells of what was missed."""
        while True:
            try:
                await work()
                return
            except Exception as error:
                log.error("relay_failed", error=repr(error))
                if not (is_store_failure(error) or isinstance(error, StorageFailed)):
                    return
            await asyncio.sleep(SECONDS_BETWEEN_TRIES)


def _is_agent_message(record: Record) -> bool:
    return isinstance(record.event, Message) and record.event.role == "agent"
