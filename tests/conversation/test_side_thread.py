"""While a colleague decides: the customer hears who and until when, looks things up, and loses nothing."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from smart_support import Settings, clock, create_app
from smart_support.approvals.decision import DecisionInput
from smart_support.conversation.side_thread import SideThreads
from smart_support.events import Event, Message, Token
from smart_support.services import Services
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


async def test_a_decision_while_the_customer_writes_is_no_failure(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lead decides after the message is recorded, and before the customer is told who decides."""
    services, answer = Services(Settings(data_dir=data_dir)), SideThreads.answer

    async def decided_first(*args: Any) -> AsyncIterator[Event]:
        (approval,) = await services.approvals.of_thread("t")
        await services.turns.decide(
            approval.approval_id, DecisionInput("reject", decided_by="dana", via="rest")
        )
        async for event in answer(*args):
            yield event

    monkeypatch.setattr(SideThreads, "answer", decided_first)
    await services.open()
    for text in ("Cancel order 1042", "Where is my order 1043?"):
        async for _ in services.turns.submit_and_follow("t", text, channel="rest"):
            pass
    events = [one.event async for one in services.turns.follow("t")]
    await services.close()
    ends = [one.type for one in events if one.ends_turn]
    assert ends == ["interrupt", "message_complete", "message_complete"]
    said = [one.content for one in events if isinstance(one, Token | Message)]
    assert any("This has just been decided: Cancel order 1042" in text for text in said)


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


async def test_a_kill_in_the_middle_of_a_withdrawal_changes_nothing_and_answers_once(data_dir: Path) -> None:
    """It is withdrawn as soon as the tool's result is known; the rest is done after the start."""
    with AppProcess(data_dir) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await client.turn("t", "Cancel order 1042"))[-1]
            await client.send(type="message", thread_id="t", content="No wait, don't")
            await client.until("tool_call")
            app.kill()
        app.start()
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="resume", thread_id="t", after=0)
            await client.until("interrupt")
            events = await client.until("message_complete")
        approval = app.get(f"/approvals/{waiting['approval_id']}")
        assert (approval["status"], approval["execution"]) == ("withdrawn", None)
        steps = app.get("/replay/t")
        assert [one["outcome"] for one in steps if one["type"] == "decision"] == ["withdrawn"]
        assert spoken(events).count("withdrawn") == 1
        assert "is processing" in _chat(app, "t", "What is the status of order 1042?")["reply"]


def _chat(app: AppProcess, thread_id: str, text: str) -> dict[str, Any]:
    said: dict[str, Any] = app.post("/chat", {"thread_id": thread_id, "message": text}).json()["data"]
    return said


def test_a_customer_withdraws_their_own_request_and_nothing_is_changed(
    server: AppProcess, thread_id: str, take_order: Callable[[str], str]
) -> None:
    order, other = take_order("processing"), f"{thread_id}-other"
    mine = _chat(server, thread_id, f"Cancel order {order}")["approval"]["approval_id"]
    theirs = _chat(server, other, f"Cancel order {order}")["approval"]["approval_id"]
    said = _chat(server, thread_id, "No wait, don't")
    assert "withdrawn" in said["reply"]
    assert "is deciding" not in said["reply"]
    assert said["status"] == "complete"
    calls = {call["tool"]: call["status"] for call in said["tool_calls"]}
    assert calls == {"withdraw_request": "ok", "cancel_order": "skipped"}
    withdrawn = server.get(f"/approvals/{mine}")
    assert (withdrawn["status"], withdrawn["decided_by"], withdrawn["execution"]) == (
        "withdrawn",
        "customer",
        None,
    )
    assert server.get(f"/approvals/{theirs}")["status"] == "pending"
    steps = server.get(f"/replay/{thread_id}")
    assert [one["outcome"] for one in steps if one["type"] == "decision"] == ["withdrawn"]
    # A decision that comes too late finds it decided, and the conversation goes on.
    late = server.post(f"/approvals/{mine}/decision", {"decision": "approve"})
    assert (late.status_code, late.json()["error"]["code"]) == (409, "already_decided")
    status = _chat(server, thread_id, f"What is the status of order {order}?")["reply"]
    assert re.search(r"is (processing|pending)\b", status), status


def test_a_corrected_request_takes_the_place_of_the_one_that_waits(
    server: AppProcess, thread_id: str, take_order: Callable[[str], str]
) -> None:
    wrong, right = take_order("changeable"), take_order("changeable")
    _chat(server, thread_id, f"Cancel order {wrong}")
    _chat(server, thread_id, "Where is it?")
    said = _chat(server, thread_id, f"No, I meant {right}")
    assert said["status"] == "awaiting_approval"
    assert said["approval"]["args"]["order_id"] == right
    assert [one["args"]["order_id"] for one in server.pending(thread_id)] == [right]
    numbers = [one["seq"] for one in server.get(f"/replay/{thread_id}")]
    assert numbers == sorted(set(numbers))


def test_what_else_is_said_while_a_request_waits_does_not_withdraw_it(
    server: AppProcess, thread_id: str, take_order: Callable[[str], str]
) -> None:
    _chat(server, thread_id, f"Cancel order {take_order('changeable')}")
    for text in ("Thanks!", "I don't need a discount", "Where is order 1043?", "no"):
        _chat(server, thread_id, text)
        assert len(server.pending(thread_id)) == 1, text
