"""A turn ends in exactly one event, is durable when it ends, and shows its end last."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from smart_support import clock
from smart_support.agents.prices import Prices
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.queue import ApprovalQueue
from smart_support.conversation.broadcast import Broadcast
from smart_support.conversation.graph_adapter.adapter import GraphAdapter
from smart_support.conversation.recorder import Recorder
from smart_support.conversation.sessions import SEQ_BLOCK, SessionManager
from smart_support.conversation.turn import MODEL_FAILED, Turn, TurnDependencies
from smart_support.errors import ToolFailed
from smart_support.events import Message, Token
from smart_support.storage.events.embedded import EmbeddedEventStore
from tests.support.stores import state_of

HELLO = Message(role="customer", content="hello", message_id="m-1")


@pytest.fixture
async def dependencies(data_dir: Path) -> AsyncIterator[TurnDependencies]:
    async def escalate(*_: object, **__: object) -> bool:
        return False

    builder = StateGraph(MessagesState)
    builder.add_node(
        "agent", lambda state: {"messages": [AIMessage(f"You said {state['messages'][-1].text}.")]}
    )
    builder.add_edge(START, "agent")
    state, event_log = state_of(data_dir), EmbeddedEventStore(data_dir / "events.duckdb")
    yield TurnDependencies(
        graph=GraphAdapter(builder.compile(InMemorySaver()), "agent"),
        sessions=SessionManager(state, 60),
        approvals=ApprovalQueue(state, 60),
        ledger=Ledger(state),
        event_log=event_log,
        broadcast=Broadcast(event_log),
        escalate=escalate,
        prices=Prices({}),
    )
    event_log.close()
    state.close()


async def ends_itself_and_breaks(turn: Turn) -> None:
    await turn.answer(HELLO)
    raise ToolFailed("after the end")


async def breaks_in_a_message(turn: Turn) -> None:
    await turn.emit(HELLO)
    await turn.emit(Token(agent="agent", content="You sa"))
    raise RuntimeError("no such model")


@pytest.mark.parametrize(
    ("work", "texts", "end"),
    [
        (lambda turn: turn.answer(HELLO), ["hello", "You said hello."], "message_complete"),
        (ends_itself_and_breaks, ["hello", "You said hello."], "message_complete"),
        (breaks_in_a_message, ["hello", "You sa"], "error"),
    ],
)
async def test_a_turn_ends_in_exactly_one_event_that_is_shown_last(
    dependencies: TurnDependencies, work: Callable[[Turn], Awaitable[None]], texts: list[str], end: str
) -> None:
    sessions, event_log, broadcast = dependencies.sessions, dependencies.event_log, dependencies.broadcast
    listener = broadcast.listen("t")
    session = await sessions.begin_turn("t", clock.new_id(), "rest", spoken_by="local user")
    turn = Turn(dependencies, session, Recorder(session, event_log, broadcast, sessions))
    await turn.run(work)
    records = await event_log.read("t")
    assert [one.event.content for one in records if isinstance(one.event, Message)] == texts
    assert [one.event.type for one in records if one.event.ends_turn] == [end]
    assert records[-1].event.ends_turn
    shown = [one.event.type for one in listener.waiting if one]
    assert end not in shown
    turn.publish_end()
    assert [one.event.type for one in listener.waiting if one] == [*shown, end]
    after = await sessions.load("t")
    assert after is not None
    assert (after.turn_id, after.last_seq) == (None, records[-1].seq)


async def test_a_failure_of_the_model_is_worded_for_the_customer(dependencies: TurnDependencies) -> None:
    sessions, event_log, broadcast = dependencies.sessions, dependencies.event_log, dependencies.broadcast
    session = await sessions.begin_turn("t", clock.new_id(), "rest")
    await Turn(dependencies, session, Recorder(session, event_log, broadcast, sessions)).run(
        breaks_in_a_message
    )
    (failure,) = [one.event for one in await event_log.read("t") if one.event.type == "error"]
    assert getattr(failure, "message", None) == MODEL_FAILED


async def test_numbers_are_reserved_before_tokens_are_shown(dependencies: TurnDependencies) -> None:
    sessions, event_log, broadcast = dependencies.sessions, dependencies.event_log, dependencies.broadcast
    session = await sessions.begin_turn("t", clock.new_id(), "rest")
    recorder = Recorder(session, event_log, broadcast, sessions)
    shown = broadcast.listen("t").waiting
    for number in range(2 * SEQ_BLOCK + 1):
        if recorder.can_show:
            recorder.show(Token(agent="agent", content=f"{number} "))
        else:
            await recorder.record(Token(agent="agent", content=f"{number} "))
        reserved = sessions.get_state("t")
        assert number % 100 or (reserved and reserved.reserved_seq >= recorder.last_seq)
    assert [one.seq for one in shown if one] == list(range(1, 2 * SEQ_BLOCK + 2))
    reserved = sessions.get_state("t")
    assert reserved
    assert reserved.reserved_seq == 3 * SEQ_BLOCK
