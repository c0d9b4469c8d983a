"""The inbox: which conversations each filter has, in which order, what is unread, and what is announced."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from smart_support import Settings, clock
from smart_support.analytics.cursor import Cursor
from smart_support.analytics.metrics import Metrics
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.queue import ApprovalQueue
from smart_support.conversation.inbox import Inbox, InboxChange, InboxFilter
from smart_support.conversation.sessions import LastMessage, SessionManager
from smart_support.errors import InvalidRequest, NotFound
from smart_support.escalations.escalations import Escalations
from smart_support.events import Message, Record, Takeover
from smart_support.identity.customer_tokens import VerifiedCustomer
from smart_support.identity.users import Role, User
from smart_support.storage.coordination.local import LocalLocks
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.state.base import StateDatabase
from tests.support.planned_calls import request
from tests.support.stores import of_files, state_of

TTL = 1800
DANA, OPERATOR = User("Dana", Role.LEAD), User("Olga", Role.OPERATOR)


class Parts:
    """The inbox with what it lists from."""

    def __init__(self, folder: Path) -> None:
        self.state: StateDatabase = state_of(folder)
        self.event_log = EmbeddedEventStore(folder / "events.duckdb")
        self.sessions = SessionManager(self.state, TTL)
        self.approvals = ApprovalQueue(self.state, 600)
        self.escalations = Escalations(self.state, Settings(data_dir=folder), LocalLocks())
        self.inbox = Inbox(
            state=self.state,
            sessions=self.sessions,
            approvals=self.approvals,
            escalations=self.escalations,
            metrics=Metrics(self.event_log, TTL),
            event_log=self.event_log,
            session_ttl_seconds=TTL,
        )

    async def say(self, thread_id: str, text: str, *, by: str = "Olga", answer: str | None = "Sure.") -> int:
        """A turn with a message of the customer and an answer of the agents. Returns its last number."""
        session = await self.sessions.begin_turn(
            thread_id, clock.new_id(), "rest", spoken_by=by, message=text
        )
        first = session.last_seq + 1
        now = clock.rfc3339(clock.now())
        last = LastMessage(first, "customer", None, text, now, first)
        if answer:
            last = LastMessage(first + 1, "agent", "support", answer, now, first)
        await self.sessions.end_turn(thread_id, last.seq + 1, None, last)
        return last.seq + 1

    async def ids(self, filter_: InboxFilter, user: User = DANA, **given: Any) -> list[str]:
        page, _ = await self.inbox.page(user, filter_, **given)
        return [item["thread_id"] for item in page]


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    made = Parts(tmp_path)
    yield made
    await made.inbox.close()
    await made.escalations.close()
    made.event_log.close()
    made.state.close()


async def _one_of_each(parts: Parts) -> None:
    """Conversations named after what they are."""
    await parts.say("ended", "old")
    clock.advance(TTL + 1)
    for name in ("active", "waiting", "escalated", "mine", "theirs"):
        await parts.say(name, f"I am {name}", answer=None if name == "mine" else "Sure.")
    await parts.approvals.request(request(thread_id="waiting"))
    await parts.escalations.escalate("escalated", "They want a person.")
    await parts.sessions.take_over("mine", Takeover(state="taken", by="Dana"), "console")
    await parts.sessions.take_over("theirs", Takeover(state="taken", by="Robin"), "console")


async def test_each_filter_has_its_conversations_and_their_count(parts: Parts) -> None:
    await _one_of_each(parts)
    listed = {
        name: set(await parts.ids(name)) for name in ("waiting", "escalated", "active", "mine", "ended")
    }
    assert listed == {name: {name} for name in listed}
    assert set(await parts.ids("all")) == {"active", "waiting", "escalated", "mine", "theirs"}
    assert await parts.inbox.counts(DANA) == {
        "all": 5, "waiting": 1, "escalated": 1, "active": 1, "mine": 1
    }  # fmt: skip


async def test_a_conversation_says_what_it_needs_and_since_when(parts: Parts) -> None:
    await _one_of_each(parts)
    names = ("ended", "active", "waiting", "escalated", "mine")
    items = {name: await parts.inbox.item(name) for name in names}
    assert {name: item["status"] for name, item in items.items()} == {
        "ended": "ended", "active": "active", "waiting": "waiting", "escalated": "escalated", "mine": "taken"
    }  # fmt: skip
    assert items["escalated"]["escalation"]["reason"] == "They want a person."
    assert items["escalated"]["since"] == items["escalated"]["escalation"]["requested_at"]
    assert (items["waiting"]["pending"], items["active"]["pending"]) == (1, 0)
    # The agents have answered in the one, and nobody in the other.
    assert items["active"]["since"] is None
    assert items["mine"]["since"][:19] == items["mine"]["last"]["at"][:19]
    assert items["mine"]["last"] | {"at": None} == {
        "role": "customer", "by": None, "text": "I am mine", "at": None
    }  # fmt: skip
    assert (items["active"]["opening"], items["active"]["last"]["by"]) == ("I am active", "support")


async def test_pages_follow_each_other_without_gaps_while_conversations_come(parts: Parts) -> None:
    for number in range(7):
        await parts.say(f"t{number}", "hello")
    first, cursor = await parts.inbox.page(DANA, limit=3)
    await parts.say("t9", "a new one")
    second, cursor = await parts.inbox.page(DANA, limit=3, cursor=cursor)
    third, end = await parts.inbox.page(DANA, limit=3, cursor=cursor)
    listed = [item["thread_id"] for item in (*first, *second, *third)]
    assert (listed, end) == ([f"t{number}" for number in reversed(range(7))], None)
    with pytest.raises(InvalidRequest, match="next_cursor"):
        await parts.inbox.page(DANA, cursor="nonsense")


async def test_operators_list_and_count_their_own_only(parts: Parts) -> None:
    await parts.say("own", "hello", by="Olga")
    await parts.say("other", "hello", by="somebody")
    assert await parts.ids("all", OPERATOR) == ["own"]
    assert await parts.inbox.counts(OPERATOR) == {"all": 1, "waiting": 0, "escalated": 0, "active": 1}


async def test_what_the_customer_said_is_unread_until_a_person_sees_or_answers_it(parts: Parts) -> None:
    last = await parts.say("t", "hello")
    assert (await parts.inbox.item("t"))["unread"]
    await parts.inbox.seen("t", last)
    assert not (await parts.inbox.item("t"))["unread"]
    await parts.say("t", "and another thing")
    assert (await parts.inbox.item("t"))["unread"]
    session = await parts.sessions.begin_turn("t", clock.new_id(), "console")
    seq = session.last_seq + 1
    answer = LastMessage(seq, "colleague", "Dana", "Yes?", clock.rfc3339(clock.now()))
    await parts.sessions.end_turn("t", seq, None, answer)
    item = await parts.inbox.item("t")
    assert (item["unread"], item["last"]["by"]) == (False, "Dana")
    with pytest.raises(NotFound):
        await parts.inbox.seen("nothing", 1)


async def test_nobody_can_see_further_than_the_last_event(parts: Parts) -> None:
    await parts.say("t", "hello")
    await parts.inbox.seen("t", 2**60)
    await parts.say("t", "hello again")
    assert (await parts.inbox.item("t"))["unread"]


async def test_since_when_a_customer_waits_is_the_first_message_without_an_answer(parts: Parts) -> None:
    await parts.say("t", "hello", answer=None)
    first = (await parts.inbox.item("t"))["since"]
    clock.advance(60)
    await parts.say("t", "hello?", answer=None)
    assert (await parts.inbox.item("t"))["since"] == first
    await parts.say("t", "hello??")
    assert (await parts.inbox.item("t"))["since"] is None


async def test_the_search_reads_all_messages_within_a_filter(parts: Parts) -> None:
    await _one_of_each(parts)
    for name in ("ended", "active", "mine"):
        event = Message(role="customer", content=f"The blue vase, {name}")
        await parts.event_log.append(Record(name, 1, event))
    assert set(await parts.ids("all", q="blue vase")) == {"ended", "active", "mine"}
    assert await parts.ids("mine", q="blue vase") == ["mine"]
    assert await parts.ids("all", User("x", Role.OPERATOR), q="blue vase") == []


async def test_changes_are_announced_together_with_counts(parts: Parts) -> None:
    changes: asyncio.Queue[InboxChange] = asyncio.Queue()
    leave = parts.inbox.subscribe(changes.put_nowait)

    async def until(is_it: Callable[[InboxChange], bool]) -> InboxChange:
        async with asyncio.timeout(60):
            while not is_it(change := await changes.get()):
                pass
            return change

    await parts.say("a", "hello", by="Olga")
    await parts.say("b", "hello", by="somebody")
    await until(lambda change: "b" in {item["thread_id"] for item in change.items})
    approval = await parts.approvals.request(request(thread_id="a"))
    assert (await until(lambda change: change.counts["waiting"] == 1)).for_user(OPERATOR) is not None
    await parts.approvals.decide(
        approval.approval_id, DecisionInput("reject", decided_by="Dana", via="rest", reason="no")
    )
    await until(lambda change: change.counts["waiting"] == 0)
    await parts.sessions.take_over("b", Takeover(state="taken", by="Dana"), "console")
    change = await until(lambda change: bool(change.taken))
    seen_by_dana = change.for_user(DANA)
    assert seen_by_dana is not None
    assert (seen_by_dana["counts"]["mine"], seen_by_dana["items"][0]["taken_by"]) == (1, "Dana")
    assert change.for_user(OPERATOR) is None
    await parts.state.execute("DELETE FROM sessions WHERE thread_id = 'b'")
    parts.inbox.changed("b")
    assert (await until(lambda change: bool(change.gone))).gone == ["b"]
    leave()
    await parts.say("a", "hello again")
    await parts.inbox.close()
    assert changes.empty()


async def test_conversations_from_before_get_what_was_said_last(parts: Parts) -> None:
    await parts.say("old", "hello")
    await parts.state.execute(
        "UPDATE sessions SET last_said_at = NULL, last_text = NULL, last_role = NULL, opening = NULL"
    )
    await parts.event_log.append(Record("old", 1, Message(role="customer", content="Where is\nmy vase?")))
    await parts.event_log.append(Record("old", 2, Message(role="agent", content="Here.", agent="support")))
    await parts.inbox.backfill()
    item = await parts.inbox.item("old")
    assert (item["opening"], item["last"]["text"], item["last"]["by"]) == (
        "Where is my vase?", "Here.", "support"
    )  # fmt: skip


async def test_a_verified_customer_is_named_as_the_website_does(parts: Parts) -> None:
    await parts.say("t", "hello")
    await parts.sessions.bind_customer("t", VerifiedCustomer("C-7", "Maya Chen"))
    item = await parts.inbox.item("t")
    assert item["customer"] == {"id": "C-7", "verified": True, "name": "Maya Chen"}
    assert item["customer_id"] == "C-7"


async def test_a_thread_in_which_nobody_has_said_anything_is_no_conversation(parts: Parts) -> None:
    await parts.sessions.begin_turn("calls", clock.new_id(), "rest")
    await parts.sessions.end_turn("calls", 3, None)
    assert await parts.ids("all") == []
    assert (await parts.inbox.counts(DANA))["all"] == 0


async def test_the_other_conversations_and_approvals_of_a_customer(parts: Parts) -> None:
    for name in ("one", "two"):
        await parts.say(name, f"I am {name}")
        await parts.sessions.begin_turn(name, clock.new_id(), "rest")
        await parts.sessions.end_turn(name, 9, "C-1")
        await parts.approvals.request(request(thread_id=name, customer_id="C-1"))
    assert [item["thread_id"] for item in await parts.inbox.earlier("one", "C-1")] == ["two"]
    pending = await parts.inbox.open_approvals("one", "C-1")
    assert [one.thread_id for one in pending] == ["one", "two"]
    assert [one.thread_id for one in await parts.inbox.open_approvals("one", None)] == ["one"]


@of_files
@pytest.mark.parametrize("filter_", ["all", "waiting", "escalated", "active", "mine", "ended"])
async def test_no_page_reads_the_whole_table(parts: Parts, filter_: InboxFilter) -> None:
    plans: list[str] = []

    async def read(sql: str, given: Any = None) -> list[dict[str, Any]]:
        rows = await parts.state.read(f"EXPLAIN QUERY PLAN {sql}", given)
        plans.extend(str(row["detail"]) for row in rows)
        return []

    class Explained:
        """The state database, which answers each SELECT with nothing and notes its plan."""

    explained: Any = Explained()
    explained.read = read
    inbox = Inbox(
        state=explained,
        sessions=parts.sessions,
        approvals=parts.approvals,
        escalations=parts.escalations,
        metrics=Metrics(parts.event_log, TTL),
        event_log=parts.event_log,
        session_ttl_seconds=TTL,
    )
    for user in (DANA, OPERATOR):
        await inbox.page(user, filter_)
        await inbox.page(user, filter_, cursor=Cursor(datetime(2026, 1, 1), "t").encode())
    tables = [plan for plan in plans if plan.startswith("SCAN") and "INDEX" not in plan]
    assert [
        plan for plan in tables if "sessions" in plan or "approvals" in plan or "escalations" in plan
    ] == []
