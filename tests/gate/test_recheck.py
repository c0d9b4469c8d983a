"""Changed since you looked: what a card showed is read again before its call runs, and asked anew."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from smart_support import Settings, create_app
from smart_support.errors import ToolFailed
from smart_support.gate.gate import Gate
from smart_support.tools.registry import Call, Registry, Tool
from tests.support.harness import Client, LocalApp, ScriptedModel, of_type, spoken


def _script(messages: list[Any], tools: list[Any]) -> AIMessage:
    if [tool["function"]["name"] for tool in tools] == ["route"]:
        target = {"agent": "order_actions", "request": "x"}
        return AIMessage(
            "", tool_calls=[{"name": "route", "args": {"targets": [target], "reason": "r"}, "id": "r"}]
        )
    if isinstance(messages[-1], HumanMessage):
        args = {"order_id": "1042", "new_address": "12 Rue Neuve, 69001 Lyon, France"}
        return AIMessage("", tool_calls=[{"name": "update_shipping_address", "args": args, "id": "c"}])
    return AIMessage(f"It says: {messages[-1].text}")


@pytest.fixture
async def app(data_dir: Path) -> AsyncIterator[LocalApp]:
    with LocalApp(create_app(Settings(data_dir=data_dir), chat_model=ScriptedModel(script=_script))) as app:
        yield app


async def _meanwhile(app: LocalApp, tool: str, **args: object) -> None:
    """Someone else does something to the shop: through the very tool that the app has."""
    found = app.app.state.services.registry.get(tool)
    await found.run(args, Call("elsewhere", f"by-hand-{tool}"))


async def test_a_changed_state_needs_a_new_approval_that_shows_both_states(app: LocalApp) -> None:
    async with await Client.connect(app.ws_url) as client:
        first = (await client.turn("t", "move 1042"))[-1]
        await _meanwhile(app, "apply_discount", order_id="1042", percent=10)
        await client.send(type="interrupt_response", thread_id="t", approved=True)
        asked_again = await client.until("interrupt", "message_complete")
        second = asked_again[-1]
        assert second["type"] == "interrupt"
        assert second["approval_id"] != first["approval_id"]
        assert not of_type(asked_again, "tool_result")
        old = app.request("GET", f"/approvals/{first['approval_id']}").json()["data"]
        new = app.request("GET", f"/approvals/{second['approval_id']}").json()["data"]
        assert (old["status"], old["execution"]) == ("approved", "failed")
        lines = {line["field"]: (line["before"], line["after"]) for line in new["changed"]}
        assert lines["total_cents"] == ("12400", "11160")
        assert lines["discount_percent"] == ("0", "10")
        await client.send(type="interrupt_response", thread_id="t", approved=True)
        done = await client.until("message_complete")
    assert of_type(done, "tool_result")[0]["status"] == "ok"
    new = app.request("GET", f"/approvals/{second['approval_id']}").json()["data"]
    assert (new["status"], new["execution"]) == ("approved", "done")


async def test_what_is_no_longer_possible_does_not_run_and_says_why(app: LocalApp) -> None:
    async with await Client.connect(app.ws_url) as client:
        first = (await client.turn("t", "move 1042"))[-1]
        await _meanwhile(app, "cancel_order", order_id="1042")
        await client.send(type="interrupt_response", thread_id="t", approved=True)
        done = await client.until("message_complete")
    assert of_type(done, "tool_result")[0]["status"] == "error"
    assert "cancelled" in spoken(done)
    approval = app.request("GET", f"/approvals/{first['approval_id']}").json()["data"]
    assert (approval["status"], approval["execution"]) == ("approved", "failed")


def _replace(registry: Registry, tool: Tool) -> None:
    """Have this tool in place of the one of its name."""
    registry.replace(Registry(tool if one.name == tool.name else one for one in registry))


async def test_what_can_not_be_read_again_does_not_run(app: LocalApp) -> None:
    registry = app.app.state.services.registry
    tool = registry.get("update_shipping_address")

    async def unreadable(args: Any) -> dict[str, Any]:
        raise ToolFailed("the order system does not answer")

    async with await Client.connect(app.ws_url) as client:
        first = (await client.turn("t", "move 1042"))[-1]
        _replace(registry, replace(tool, state=unreadable))
        await client.send(type="interrupt_response", thread_id="t", approved=True)
        done = await client.until("message_complete", "interrupt")
    assert of_type(done, "tool_result")[0]["status"] == "error"
    assert "could not be read again" in spoken(done)
    approval = app.request("GET", f"/approvals/{first['approval_id']}").json()["data"]
    assert (approval["status"], approval["execution"]) == ("approved", "failed")
    status = await registry.get("get_order_status").run({"order_id": "1042"}, Call("t", "c"))
    assert status["status"] == "processing"
    assert "Lyon" not in (await tool.state({"order_id": "1042"}))["shipping_address"]


async def test_a_tool_of_another_version_needs_a_new_approval(app: LocalApp) -> None:
    registry = app.app.state.services.registry
    tool = registry.get("update_shipping_address")
    async with await Client.connect(app.ws_url) as client:
        first = (await client.turn("t", "move 1042"))[-1]
        _replace(registry, replace(tool, version="2"))
        await client.send(type="interrupt_response", thread_id="t", approved=True)
        second = (await client.until("interrupt", "message_complete"))[-1]
        assert second["type"] == "interrupt"
        new = app.request("GET", f"/approvals/{second['approval_id']}").json()["data"]
        assert new["changed"] == [
            {"subject": "", "field": "version of the tool", "before": "1", "after": "2"}
        ]
        old = app.request("GET", f"/approvals/{first['approval_id']}").json()["data"]
        assert (old["execution"], old["digest"] != new["digest"]) == ("failed", True)
        await client.send(type="interrupt_response", thread_id="t", approved=True)
        done = await client.until("message_complete")
    assert of_type(done, "tool_result")[0]["status"] == "ok"


async def test_what_is_as_it_was_runs_at_once(app: LocalApp) -> None:
    async with await Client.connect(app.ws_url) as client:
        await client.turn("t", "move 1042")
        await client.send(type="interrupt_response", thread_id="t", approved=True)
        done = await client.until("interrupt", "message_complete")
    assert done[-1]["type"] == "message_complete"
    assert "Lyon" in spoken(done)


async def test_an_edit_of_a_changed_state_needs_a_new_approval_with_the_edit(app: LocalApp) -> None:
    async with await Client.connect(app.ws_url) as client:
        first = (await client.turn("t", "move 1042"))[-1]
        await _meanwhile(app, "apply_discount", order_id="1042", percent=10)
        args = first["args"] | {"new_address": "14 Rue Neuve, 69001 Lyon, France"}
        await client.send(type="interrupt_response", thread_id="t", approved=True, args=args)
        second = (await client.until("interrupt", "message_complete"))[-1]
        assert (second["type"], second["args"]) == ("interrupt", args)
        new = app.request("GET", f"/approvals/{second['approval_id']}").json()["data"]
        assert "discount_percent" in {line["field"] for line in new["changed"]}
        assert new["effect"][0]["after"] == args["new_address"]
        await client.send(type="interrupt_response", thread_id="t", approved=True)
        done = await client.until("interrupt", "message_complete")
    assert of_type(done, "tool_result")[0]["status"] == "ok"
    assert "14 Rue Neuve" in spoken(done)


async def test_a_change_right_before_the_write_stops_it(
    app: LocalApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def seen_to_be_as_it_was(*_: Any) -> None:
        await _meanwhile(app, "apply_discount", order_id="1042", percent=10)

    monkeypatch.setattr(Gate, "recheck", seen_to_be_as_it_was)
    async with await Client.connect(app.ws_url) as client:
        first = (await client.turn("t", "move 1042"))[-1]
        await client.send(type="interrupt_response", thread_id="t", approved=True)
        done = await client.until("message_complete")
    assert of_type(done, "tool_result")[0]["status"] == "error"
    assert "changed in the very moment" in spoken(done)
    approval = app.request("GET", f"/approvals/{first['approval_id']}").json()["data"]
    assert (approval["status"], approval["execution"]) == ("approved", "failed")
    tool = app.app.state.services.registry.get("update_shipping_address")
    assert "Lyon" not in (await tool.state({"order_id": "1042"}))["shipping_address"]
