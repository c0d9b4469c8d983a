"""While a colleague decides: the customer hears who and until when, looks things up, and loses nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from smart_support import Settings, clock, create_app
from tests.support.harness import AppProcess, Client, LocalApp, ScriptedModel, of_type, spoken


def test_the_customer_hears_at_once_that_a_colleague_decides_and_until_when(data_dir: Path) -> None:
    with AppProcess(data_dir) as app:
        told = app.post("/chat", {"thread_id": "t", "message": "Cancel order 1042"}).json()["data"]
        until = clock.parse(told["approval"]["expires_at"])
        assert "A colleague has to approve this first: Cancel order 1042" in told["reply"]
        assert f"{until:%H:%M} UTC" in told["reply"]


async def test_reads_are_answered_while_it_waits_and_writes_are_not(data_dir: Path) -> None:
    with AppProcess(data_dir) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await client.turn("t", "Cancel order 1042"))[-1]
            looked = await client.turn("t", "Where is my order 1043?")
            assert looked[-1]["type"] == "message_complete"
            assert "A colleague is deciding on this right now: Cancel order 1042" in spoken(looked)
            assert of_type(looked, "tool_result")[0]["status"] == "ok"
            wished = await client.turn("t", "Refund £25 of order 1044")
            assert of_type(wished, "tool_result")[0]["status"] == "skipped"
            assert "please ask again when that is decided" in spoken(wished)
            assert [one["approval_id"] for one in app.pending("t")] == [waiting["approval_id"]]
            await client.send(type="interrupt_response", thread_id="t", approved=True)
            done = await client.until("message_complete")
            assert of_type(done, "tool_result")[0]["status"] == "ok"
            again = await client.turn("t", "Refund £25 of order 1044")
            assert again[-1]["type"] == "interrupt"
        numbers = [event["seq"] for event in client.seen if "seq" in event]
        assert numbers == list(range(1, numbers[-1] + 1))


async def test_the_outcome_comes_with_its_reason_and_an_expiry_with_an_offer(data_dir: Path) -> None:
    with AppProcess(data_dir, APPROVAL_TTL_SECONDS=1) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.turn("late", "Cancel order 1042")
            expired = await client.until("message_complete")
            assert "in time" in spoken(expired)
            assert "ask me again" in spoken(expired)
    with AppProcess(data_dir) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.turn("no", "Cancel order 1042")
            await client.send(type="interrupt_response", thread_id="no", approved=False, reason="Paid twice")
            rejected = await client.until("message_complete")
            assert "Paid twice" in spoken(rejected)


class _Remembers:
    """A model that cancels 1042, looks 1043 up, and keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[list[Any]] = []

    def __call__(self, messages: list[Any], tools: list[Any]) -> AIMessage:
        last = next(one for one in reversed(messages) if isinstance(one, HumanMessage)).text
        if [tool["function"]["name"] for tool in tools] == ["route"]:
            target = {"agent": "order_actions", "request": last}
            return AIMessage("", tool_calls=[_call("route", targets=[target], reason="r")])
        self.shown.append(messages)
        if isinstance(messages[-1], ToolMessage):
            return AIMessage("Done.")
        if "cancel" in last:
            return AIMessage("", tool_calls=[_call("cancel_order", order_id="1042")])
        return AIMessage("", tool_calls=[_call("get_order_status", order_id="1043")])


def _call(name: str, **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args, "id": clock.new_id()}


@pytest.fixture
async def remembering(data_dir: Path) -> AsyncIterator[tuple[LocalApp, _Remembers]]:
    model = _Remembers()
    with LocalApp(create_app(Settings(data_dir=data_dir), chat_model=ScriptedModel(script=model))) as app:
        yield app, model


async def test_what_was_said_aside_is_known_afterwards(
    remembering: tuple[LocalApp, _Remembers],
) -> None:
    app, model = remembering
    async with await Client.connect(app.ws_url) as client:
        await client.turn("t", "cancel it")
        await client.turn("t", "and the other one?")
        aside = model.shown[-1]
        assert any("still deciding" in message.text for message in aside if isinstance(message, ToolMessage))
        await client.send(type="interrupt_response", thread_id="t", approved=True)
        await client.until("message_complete")
        await client.turn("t", "thanks")
        known = [message.text for message in model.shown[-1] if isinstance(message, HumanMessage)]
        assert known == ["cancel it", "and the other one?", "thanks"]
        calls = [call["id"] for message in model.shown[-1] for call in getattr(message, "tool_calls", ())]
        answered = [message.tool_call_id for message in model.shown[-1] if isinstance(message, ToolMessage)]
        assert sorted(calls) == sorted(answered)
        await client.turn("t", "and now?")
        again = [message.text for message in model.shown[-1] if isinstance(message, HumanMessage)]
        assert again == ["cancel it", "and the other one?", "thanks", "and now?"]


async def test_a_kill_in_the_middle_of_an_aside_loses_neither_it_nor_the_approval(data_dir: Path) -> None:
    with AppProcess(data_dir) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await client.turn("t", "Cancel order 1042"))[-1]
            await client.send(type="message", thread_id="t", content="Where is my order 1043?")
            await client.until("message", "token")
            app.kill()
        app.start()
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="resume", thread_id="t", after=0)
            events = await client.until("interrupt")
            events = await client.until("message_complete")
            assert of_type(events, "tool_result")[0]["status"] == "ok"
            assert spoken(events).count("A colleague is deciding on this") == 1
            await client.send(
                type="interrupt_response", thread_id="t", approved=True, interrupt_id=waiting["interrupt_id"]
            )
            done = await client.until("message_complete")
            assert of_type(done, "tool_result")[0]["status"] == "ok"
