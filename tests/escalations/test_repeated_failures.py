"""What breaks again and again reaches a human: calls in a row, and turns in a row. Once, not each time."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from smart_support import Settings, clock, create_app
from smart_support.agents.graph import MAX_STEPS
from smart_support.errors import ToolUnavailable
from tests.support.harness import Client, LocalApp, ScriptedModel, of_type, spoken

pytestmark = pytest.mark.usefixtures("without_waits")


class _Tries:
    """A model that looks an order up until it has a result or five failures; it breaks when told to."""

    breaks = False

    def __call__(self, messages: list[Any], tools: list[Any]) -> AIMessage:
        if self.breaks:
            raise RuntimeError("no model today")
        if [tool["function"]["name"] for tool in tools] == ["route"]:
            target = {"agent": "order_lookup", "request": "x"}
            return AIMessage("", tool_calls=[_call("route", targets=[target], reason="r")])
        last = max(place for place, one in enumerate(messages) if isinstance(one, HumanMessage))
        results = [one for one in messages[last:] if isinstance(one, ToolMessage)]
        if len(results) < 5 and not any(one.status == "success" for one in results):
            return AIMessage("", tool_calls=[_call("get_order_status", order_id="1043")])
        return AIMessage("That is all.")


def _call(name: str, **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args, "id": clock.new_id()}


@pytest.fixture
async def app(data_dir: Path) -> AsyncIterator[tuple[LocalApp, _Tries]]:
    model = _Tries()
    with LocalApp(create_app(Settings(data_dir=data_dir), chat_model=ScriptedModel(script=model))) as running:
        yield running, model


async def test_three_calls_that_break_in_a_row_are_told_once(app: tuple[LocalApp, _Tries]) -> None:
    running, _ = app
    tool = running.app.state.services.registry.get("get_order_status")

    async def broken(args: Any, call: Any) -> Any:
        raise ToolUnavailable("The shop can't be reached just now.")

    object.__setattr__(tool, "run", broken)
    async with await Client.connect(running.ws_url) as client:
        events = await client.turn("t", "where is it?")
    assert len(of_type(events, "tool_result")) == 5
    told = of_type(events, "escalation")
    assert len(told) == 1
    assert told[0]["reason"].startswith("3 calls in a row broke, the last of them get_order_status")
    assert events.index(told[0]) == events.index(of_type(events, "tool_result")[2]) + 1


async def test_a_rule_s_no_is_no_failure(app: tuple[LocalApp, _Tries]) -> None:
    running, _ = app
    tool = running.app.state.services.registry.get("get_order_status")
    known = tool.run

    async def unknown_order(args: Any, call: Any) -> Any:
        return await known({"order_id": "9999999"}, call)

    object.__setattr__(tool, "run", unknown_order)
    async with await Client.connect(running.ws_url) as client:
        events = await client.turn("t", "where is it?")
    assert len(of_type(events, "tool_result")) == 5
    assert of_type(events, "escalation") == []


async def test_turns_that_fail_in_a_row_are_told_once(app: tuple[LocalApp, _Tries]) -> None:
    running, model = app
    async with await Client.connect(running.ws_url) as client:
        await client.turn("t", "hello")
        model.breaks = True
        turns = [await client.turn("t", "hello?") for _ in range(4)]
        model.breaks = False
        fine = await client.turn("t", "hello!")
    assert [turn[-1]["type"] for turn in turns] == ["error"] * 4
    assert [len(of_type(turn, "escalation")) for turn in turns] == [0, 1, 0, 0]
    assert fine[-1]["type"] == "message_complete"
    listed = running.request("GET", "/escalations").json()["data"]
    assert [one["reason"] for one in listed] == [
        "2 turns in a row have failed; the customer is left without an answer."
    ]


async def test_a_model_that_never_ends_is_stopped_and_the_customer_told(data_dir: Path) -> None:
    def script(messages: list[Any], tools: list[Any]) -> AIMessage:
        if [tool["function"]["name"] for tool in tools] == ["route"]:
            target = {"agent": "order_lookup", "request": "x"}
            return AIMessage("", tool_calls=[_call("route", targets=[target], reason="r")])
        return AIMessage("", tool_calls=[_call("get_order_status", order_id="1043")])

    settings, model = Settings(data_dir=data_dir), ScriptedModel(script=script)
    with LocalApp(create_app(settings, chat_model=model)) as running:
        async with await Client.connect(running.ws_url) as client:
            events = await client.turn("t", "where is it?")
    assert events[-1]["type"] == "message_complete"
    assert len(of_type(events, "tool_result")) == MAX_STEPS
    assert "stop here" in spoken(events)
