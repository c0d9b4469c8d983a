"""Whatever text a model, a tool or a graph gives: each turn ends once, and no other turn fails."""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, TypedDict, cast

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import interrupt

from smart_support import Settings, create_app
from smart_support.conversation.broadcast import Broadcast, Listener
from smart_support.conversation.recorder import Recorder
from smart_support.conversation.sessions import SessionManager
from smart_support.events import EVENT_TYPES, Event, Failure, Message, MessageComplete, Record, Token
from smart_support.storage.events import embedded as event_log_module
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.events.rows import as_row
from tests.support.examples import examples
from tests.support.harness import Client, LocalApp, ScriptedModel, of_type, spoken
from tests.test_text import any_text, any_value

HALF = "\ud83d"
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "args": st.dictionaries(any_text, any_value, max_size=3),
    "usage": st.none() | st.dictionaries(any_text, any_value, max_size=2),
    "targets": st.lists(st.dictionaries(any_text, any_text, max_size=2), max_size=2),
    "options": st.lists(any_text, max_size=2),
    "role": st.sampled_from(["customer", "agent"]),
    "status": st.sampled_from(["ok", "error"]),
    "outcome": st.sampled_from(["approved", "rejected"]),
    "delivered": st.booleans(),
    "duration_ms": st.floats() | st.integers(),
    "first_token_ms": st.none() | st.floats(),
}
any_event = st.sampled_from([cls for cls in EVENT_TYPES.values() if not cls.ends_turn]).flatmap(
    lambda cls: st.builds(cls, **{item.name: FIELDS.get(item.name, any_text) for item in fields(cls)})
)
any_turn = st.tuples(st.lists(any_event, max_size=6), st.none() | any_text)


@pytest.fixture(scope="module")
def log() -> Iterator[EventStore]:
    with tempfile.TemporaryDirectory() as folder:
        event_log = EmbeddedEventStore(Path(folder) / "events.duckdb")
        yield event_log
        event_log.close()


class _Sessions:
    """Numbers without a database; the log and the broadcast are the real ones."""

    async def reserve(self, thread_id: str, upto: int) -> None:
        """Nothing to do."""


def _recorder(log: EventStore, broadcast: Broadcast, thread_id: str, customer_id: str | None) -> Recorder:
    session: Any = SimpleNamespace(
        thread_id=thread_id,
        turn_id=None,
        turn_channel="socket",
        customer_id=customer_id,
        caller=None,
        spoken_by=None,
        side_thread_id=None,
        last_seq=0,
        reserved_seq=0,
    )
    return Recorder(session, log, broadcast, cast(SessionManager, _Sessions()))


def _covered(shown: list[Any]) -> list[int]:
    """The numbers on record. Here events stand between the tokens of a message, so that it covers theirs."""
    return sorted({seq for one in shown for seq in range(one.first_seq, one.seq + 1)})


async def _turn(recorder: Recorder, said: list[Event]) -> None:
    for event in said:
        await recorder.record(event)
        await asyncio.sleep(0)
    await recorder.close_messages()
    await recorder.record(MessageComplete(usage={}, duration_ms=1))
    await recorder.settle()
    recorder.publish_end()


numbers = iter(range(10**9))


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(any_turn, min_size=2, max_size=6))
def test_every_turn_is_durable_and_ends_once(
    log: EventStore, turns: list[tuple[list[Event], str | None]]
) -> None:
    asyncio.run(_told_side_by_side(log, turns))


async def _told_side_by_side(log: EventStore, turns: list[tuple[list[Event], str | None]]) -> None:
    broadcast, threads = Broadcast(log), [f"t-{next(numbers)}" for _ in turns]
    listeners = [broadcast.listen(thread_id) for thread_id in threads]
    recorders = [
        _recorder(log, broadcast, thread_id, customer_id)
        for thread_id, (_, customer_id) in zip(threads, turns, strict=True)
    ]
    await asyncio.gather(*(_turn(one, said) for one, (said, _) in zip(recorders, turns, strict=True)))
    for thread_id, listener, recorder in zip(threads, listeners, recorders, strict=True):
        live = [one for one in listener.waiting if one is not None]
        assert [orjson.loads(one.wire())["seq"] for one in live] == list(range(1, recorder.last_seq + 1))
        read = await log.read(thread_id)
        assert _covered(read) == list(range(1, recorder.last_seq + 1))
        assert [one.event.ends_turn for one in read] == [False] * (len(read) - 1) + [True]
        again = Listener()
        caught_up = broadcast.caught_up(thread_id, 0, again)
        resumed = [orjson.loads(cast(Record, await anext(caught_up)).wire()) for _ in read]
        assert [one["seq"] for one in resumed] == [one.seq for one in read]
        tokens = "".join(one.event.content for one in live if isinstance(one.event, Token))
        whole = [one.event for one in read if isinstance(one.event, Message) and one.event.role == "agent"]
        assert sorted(tokens) == sorted("".join(one.content for one in whole)) or any(
            isinstance(event, Message) for event in turns[threads.index(thread_id)][0]
        )
    counted = await log.query(
        "SELECT count(*) AS n FROM events WHERE thread_id IN (SELECT unnest(?))", [threads]
    )
    assert counted[0]["n"] == sum([len(await log.read(thread_id)) for thread_id in threads])
    assert log.journal.refused() == []


async def test_an_event_that_has_no_row_fails_alone(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(record: Record) -> Any:
        if "unstorable" in record.wire():
            raise TypeError("it has no row")
        return as_row(record)

    monkeypatch.setattr(event_log_module, "as_row", refusing)
    log = EmbeddedEventStore(data_dir / "events.duckdb")
    broadcast = Broadcast(log)
    good = [_recorder(log, broadcast, f"good-{number}", None) for number in range(5)]
    middle, last = (_recorder(log, broadcast, name, None) for name in ("middle", "last"))
    message = Message(role="customer", content="hello")
    await asyncio.gather(
        *(_turn(recorder, [message]) for recorder in good),
        _turn(middle, [message, Message(role="customer", content="unstorable"), message]),
        _ended_by(last, Failure(code="model_error", message="unstorable")),
    )
    for recorder in good:
        assert [one.event.type for one in await log.read(recorder.thread_id)] == [
            "message",
            "message_complete",
        ]
    assert [one.seq for one in await log.read("middle")] == [1, 3, 4]
    ending = (await log.read("last"))[-1].event
    assert isinstance(ending, Failure)
    assert ending.code == "storage_error"
    log.close()


async def _ended_by(recorder: Recorder, ending: Event) -> None:
    await recorder.record(ending)
    await recorder.settle()
    recorder.publish_end()


async def test_a_listener_that_breaks_keeps_nothing_from_the_others(data_dir: Path) -> None:
    class Broken:
        def put(self, shown: Any) -> None:
            raise ValueError("broken")

    log = EmbeddedEventStore(data_dir / "events.duckdb")
    broadcast = Broadcast(log)
    broadcast.attach("t", Broken())
    listener = broadcast.listen("t")
    await _turn(_recorder(log, broadcast, "t", None), [Message(role="customer", content="hello")])
    assert [one.event.type for one in listener.waiting if one] == ["message", "message_complete"]
    log.close()


# Through a real socket


def _script(said: list[AIMessage]) -> Any:
    left = iter(said)

    def script(messages: list[BaseMessage], tools: list[dict[str, Any]]) -> AIMessage:
        if [tool["function"]["name"] for tool in tools] == ["route"]:
            targets = [{"agent": "order_lookup", "request": f"look {HALF}"}]
            call = {"name": "route", "args": {"targets": targets, "reason": f"why {HALF}"}, "id": "r"}
            return AIMessage("", tool_calls=[call])
        return next(left, AIMessage("Done."))

    return script


SAID = {
    "text": [AIMessage(f"Hello {HALF} there\x00.")],
    "a character in two chunks": [AIMessage("Hello \ud83d \ude00.")],
    "call id": [
        AIMessage("", tool_calls=[{"name": "get_order_status", "args": {"order_id": "1042"}, "id": HALF}])
    ],
    "tool name": [AIMessage("", tool_calls=[{"name": f"get{HALF}", "args": {}, "id": "c"}])],
    "arguments": [
        AIMessage("", tool_calls=[{"name": "get_order_status", "args": {f"{HALF}\x00": HALF}, "id": "c"}])
    ],
    "odd numbers": [
        AIMessage(
            "",
            invalid_tool_calls=[
                {"name": "get_order_status", "args": text, "id": str(number), "error": None}
                for number, text in enumerate(
                    ['{"order_id": 1e999}', '{"order_id": NaN}', '{"a": 1' + "0" * 40 + "}"]
                )
            ],
        )
    ],
}


@pytest.mark.parametrize("what", SAID)
async def test_no_answer_of_a_model_costs_a_turn_or_its_neighbours(what: str, data_dir: Path) -> None:
    model = ScriptedModel(script=_script(SAID[what]))
    with LocalApp(create_app(Settings(data_dir=data_dir), chat_model=model)) as app:
        async with await Client.connect(app.ws_url) as client, await Client.connect(app.ws_url) as other:
            events, beside = await asyncio.gather(client.turn("t", "hello"), other.turn("u", "hello"))
            assert events[-1]["type"] == beside[-1]["type"] == "message_complete"
            assert (await client.turn("t", "again"))[-1]["type"] == "message_complete"
        async with await Client.connect(app.ws_url) as late:
            await late.send(type="resume", thread_id="t")
            await late.until("message_complete")
            ends = [*events[-1:], *(await late.until("message_complete"))[-1:]]
            assert len(ends) == 2
        steps = app.request("GET", "/replay/t").json()["data"]
    assert [one["type"] for one in steps].count("message_complete") == 2
    assert HALF.encode("utf-8", "surrogatepass") not in orjson.dumps(steps)


async def test_a_character_that_a_gateway_cut_in_two_is_shown_whole(data_dir: Path) -> None:
    class Cutting(ScriptedModel):
        async def _astream(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            from langchain_core.outputs import ChatGenerationChunk

            if kwargs["tools"][0]["function"]["name"] == "route":
                async for chunk in super()._astream(messages, *args, **kwargs):
                    yield chunk
                return
            for piece in ("Well \ud83d", "\ude00 then", " \ud83d"):
                yield ChatGenerationChunk(message=AIMessageChunk(piece))

    model = Cutting(script=_script([]))
    with LocalApp(create_app(Settings(data_dir=data_dir), chat_model=model)) as app:
        async with await Client.connect(app.ws_url) as client:
            events = await client.turn("t", "hello")
        steps = app.request("GET", "/replay/t").json()["data"]
    assert spoken(events) == "Well 😀 then \ufffd"
    assert [one["content"] for one in of_type(events, "token")] == ["Well ", "😀 then", " ", "\ufffd"]
    assert [one["content"] for one in steps if one.get("role") == "agent"] == ["Well 😀 then \ufffd"]


class _State(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]


async def test_an_interrupt_of_a_foreign_graph_waits_whatever_is_in_it(data_dir: Path) -> None:
    async def node(state: _State) -> _State:
        yes = interrupt({"action": f"send{HALF}", "text": f"{HALF}\x00", "amount": float("nan"), "n": 2**80})
        return {"messages": [AIMessage(f"It was {yes} {HALF}")]}

    graph = StateGraph(_State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    app_ = create_app(Settings(data_dir=data_dir), graph=graph.compile())
    with LocalApp(app_) as app:
        async with await Client.connect(app.ws_url) as client:
            asked = (await client.turn("t", "hello"))[-1]
            assert (asked["type"], asked["action"]) == ("interrupt", "send\ufffd")
            assert asked["args"] == {"text": "\ufffd\u2400", "amount": "nan", "n": str(2**80)}
            await client.send(type="interrupt_response", thread_id="t", approved=True)
            events = await client.until("message_complete", "error")
    assert spoken(events) == "It was True \ufffd"
