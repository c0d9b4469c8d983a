"""Approved calls while frozen: the conversation stops before the call, and goes on with it by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from smart_support.approvals.approval import Approval
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.freezes import Freezes
from smart_support.services import Services
from smart_support.settings import Settings
from smart_support.storage.state.sqlite import SqliteStateDatabase
from tests.support.graphs.shapes import SHAPES
from tests.support.harness import ScriptedModel

BY = {"by": "dana", "via": "rest"}
AGENTS = """\
company: Test
fallback: only
agents:
  - {name: only, title: Only, description: Makes coupons., tools: [generate_coupon]}
policy: [{tool: generate_coupon, then: run}]
"""
APPROVE = DecisionInput("approve", decided_by="dana", via="rest")


@asynccontextmanager
async def _app(data_dir: Path, **parts: Any) -> AsyncIterator[Services]:
    services = Services(Settings(data_dir=data_dir), **parts)
    await services.open()
    try:
        yield services
    finally:
        await services.close()


async def _say(services: Services, text: str) -> list[Any]:
    return [shown.event async for shown in services.turns.submit_and_follow("t", text, channel="rest")]


async def _decide(services: Services, decision: DecisionInput = APPROVE) -> list[Any]:
    approval = await services.turns.pending_approval("t")
    return [shown.event async for shown in services.turns.decide_and_follow(approval.approval_id, decision)]


async def _only(services: Services) -> Approval:
    (approval,) = await services.approvals.of_thread("t")
    return approval


async def _lift_and_follow(services: Services, scope: str = "all") -> list[Any]:
    """The events of the turn that a lifted freeze starts."""
    listener = services.broadcast.listen("t")
    await services.freezes.lift(scope, by="root", via="rest")
    events = []
    async with asyncio.timeout(60):
        while (shown := await listener.next()) is None or not shown.event.ends_turn:
            events += [shown.event] if shown else []
    services.broadcast.leave("t", listener)
    return events


def _types(events: list[Any]) -> list[str]:
    return [event.type for event in events]


async def test_an_approved_call_waits_for_the_end_of_the_freeze_and_runs_by_itself(data_dir: Path) -> None:
    async with _app(data_dir) as services:
        await _say(services, "Cancel order 1042")
        await services.freezes.freeze("tool:cancel_order", "a pricing error", **BY)
        events = await _decide(services)
        assert _types(events) == ["decision", "token", "message_complete"]
        assert "frozen" in events[1].content
        assert "pricing" not in events[1].content
        approval = await _only(services)
        assert (approval.status, approval.execution, approval.parked) == ("approved", "not_started", True)
        # A question in between is answered, and leaves the call where it is.
        between = await _say(services, "What is the status of order 1043?")
        assert any("frozen" in getattr(event, "content", "") for event in between)
        assert any(event.type == "tool_result" for event in between)
        assert (await _only(services)).execution == "not_started"
        (freeze,) = await services.freezes.in_effect()
        assert (freeze.parked, freeze.paused) == (1, 0)
        events = await _lift_and_follow(services, "tool:cancel_order")
        assert [event.status for event in events if event.type == "tool_result"] == ["ok"]
        approval = await _only(services)
        assert (approval.execution, approval.parked, approval.resumed) == ("done", False, True)


async def test_a_parked_call_runs_after_a_restart(data_dir: Path) -> None:
    async with _app(data_dir) as services:
        await _say(services, "Cancel order 1042")
        await services.freezes.freeze("all", "why", **BY)
        await _decide(services)
    async with _app(data_dir) as services:
        assert services.recovery.remaining == 0
        events = await _lift_and_follow(services)
        assert [event.status for event in events if event.type == "tool_result"] == ["ok"]
    async with _app(data_dir) as services:
        assert (await _only(services)).execution == "done"


async def test_a_freeze_that_was_lifted_while_nothing_ran_holds_nothing(data_dir: Path) -> None:
    async with _app(data_dir) as services:
        await _say(services, "Cancel order 1042")
        await services.freezes.freeze("all", "why", **BY)
        await _decide(services)
    state = SqliteStateDatabase(data_dir / "state.sqlite")
    await Freezes(state).lift("all", by="command line", via="command")
    state.close()
    async with _app(data_dir) as services:
        async for _ in services.turns.follow("t"):
            pass
        assert (await _only(services)).execution == "done"


async def test_what_is_frozen_just_before_it_begins_goes_back_and_keeps_its_approval(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _app(data_dir) as services:
        await _say(services, "Cancel order 1042")
        park = services.approvals.park

        async def freeze_right_after(approval: Approval) -> bool:
            monkeypatch.setattr(services.approvals, "park", park)
            assert not await park(approval)
            await services.freezes.freeze("all", "why", **BY)
            return False

        monkeypatch.setattr(services.approvals, "park", freeze_right_after)
        before = await services.turns.pending_approval("t")
        events = await _decide(services)
        assert _types(events) == ["decision", "token", "message_complete"]
        approval = await _only(services)
        assert (approval.execution, approval.parked) == ("not_started", True)
        assert approval.interrupt_id != before.interrupt_id
        between = await _say(services, "And order 1043?")
        assert any("frozen" in getattr(event, "content", "") for event in between)
        events = await _lift_and_follow(services)
        assert [event.status for event in events if event.type == "tool_result"] == ["ok"]
        assert (await _only(services)).execution == "done"


def _ship(demo: Any) -> dict[str, Any]:
    demo.execute("UPDATE orders SET status = 'shipped' WHERE order_id = '1042'")
    return {}


async def test_the_recheck_asks_again_where_the_state_has_changed_meanwhile(data_dir: Path) -> None:
    async with _app(data_dir) as services:
        await _say(services, "Cancel order 1042")
        await services.freezes.freeze("all", "why", **BY)
        await _decide(services)
        assert services.demo
        services.demo.once(None, "", lambda: _ship(services.demo))
        await _lift_and_follow(services)
        first = (await services.approvals.of_thread("t"))[0]
        assert first.execution == "failed"


async def test_a_rejection_needs_no_lift(data_dir: Path) -> None:
    async with _app(data_dir) as services:
        await _say(services, "Cancel order 1042")
        await services.freezes.freeze("all", "why", **BY)
        events = await _decide(services, DecisionInput("reject", decided_by="dana", via="rest", reason="No."))
        assert [event.status for event in events if event.type == "tool_result"] == ["rejected"]
        assert "takes longer" not in str(events)


async def test_a_customer_reads_that_a_decision_takes_longer(data_dir: Path) -> None:
    async with _app(data_dir) as services:
        await _say(services, "Cancel order 1042")
        await services.freezes.freeze("all", "why", **BY)
        events = await _say(services, "Is it done?")
        assert any("takes longer" in getattr(event, "content", "") for event in events)


def _coupon(messages: list[BaseMessage], tools: list[Any]) -> AIMessage:
    if isinstance(messages[-1], ToolMessage):
        return AIMessage("Here it is.")
    return AIMessage("", tool_calls=[{"name": "generate_coupon", "args": {"percent": 10}, "id": "call_0"}])


async def test_what_a_rule_would_run_is_rejected_as_frozen(data_dir: Path) -> None:
    agents = data_dir.parent / "agents.yaml"
    agents.write_text(AGENTS)
    services = Services(
        Settings(data_dir=data_dir, agents_file=agents), chat_model=ScriptedModel(script=_coupon)
    )
    await services.open()
    try:
        await services.freezes.freeze("all", "why", **BY)
        events = await _say(services, "coupon")
        (result,) = [event for event in events if event.type == "tool_result"]
        assert (result.status, "frozen" in result.content) == ("rejected", True)
        approval = await _only(services)
        assert (approval.status, approval.reason) == ("rejected", "frozen")
    finally:
        await services.close()


@pytest.mark.parametrize("shape", ["middleware_batched", "middleware_per_call", "agent_node"])
async def test_a_graph_that_was_given_is_resumed_once_when_the_freeze_is_lifted(
    shape: str, data_dir: Path
) -> None:
    effects: list[Any] = []
    async with _app(data_dir, graph=SHAPES[shape].build(effects, None)) as services:
        await _say(services, "refund A")
        await services.freezes.freeze("all", "why", **BY)
        await _decide(services)
        assert effects == []
        assert (await _only(services)).parked
        await _lift_and_follow(services)
        assert len(effects) == 1
        assert (await _only(services)).execution == "done"
