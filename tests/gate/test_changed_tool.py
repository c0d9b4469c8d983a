"""A tool that changed after a call was approved: asked again with the change, or not run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smart_support.approvals.approval import Request
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.policy import Policy
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.quota import Quota
from smart_support.errors import SmartSupportError, ToolUnavailable
from smart_support.gate.call_result import CallResult
from smart_support.gate.caller import Caller
from smart_support.gate.gate import Gate
from smart_support.gate.planned_call import PlannedCall
from smart_support.storage.state.base import StateDatabase
from smart_support.tools.definition import version_of
from smart_support.tools.registry import Access, Call, Registry, Tool
from tests.support.stores import state_of

CALLER = Caller("site", frozenset({"pay"}))
DEFINITION = {"method": "POST", "server": "https://bank.example", "path": "/pay"}


class Bank:
    """A tool, what its system says of it now, and how often it ran."""

    def __init__(self) -> None:
        self.runs = 0
        self.now: list[Tool | SmartSupportError | None] = []
        self.tool = self.defined(DEFINITION)

    def defined(self, definition: dict[str, str], **more: Any) -> Tool:
        return Tool(
            name="pay",
            description="Pay.",
            schema={"type": "object"},
            access=Access.WRITE,
            run=self.run,
            version=version_of(definition),
            definition=definition,
            **more,
        )

    async def run(self, args: Any, call: Call) -> dict[str, str]:
        self.runs += 1
        return {"paid": "yes"}

    async def refresh(self) -> Tool | None:
        """The next of `now`; the last of them for ever."""
        present = self.now.pop(0) if len(self.now) > 1 else self.now[0]
        if isinstance(present, SmartSupportError):
            raise present
        return present


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDatabase]:
    database = state_of(tmp_path)
    yield database
    database.close()


class Desk:
    """A gate with one tool, and its queue."""

    def __init__(self, state: StateDatabase, bank: Bank) -> None:
        self.queue = ApprovalQueue(state, ttl_seconds=60)
        self.registry = Registry([replace(bank.tool, refresh=bank.refresh)])
        bank.now = [bank.tool]
        self.gate = Gate(
            registry=self.registry,
            policy=Policy([]),
            approvals=self.queue,
            ledger=Ledger(state),
            quota=Quota(state),
            escalate=_nobody,
        )

    async def approved(self, **other: Any) -> PlannedCall:
        """A call of the tool that a person has approved. `other`: what it is stored with instead."""
        planned = await self.gate.plan(CALLER, "pay", {}, tool_call_id="c1", thread_id="t1")
        assert isinstance(planned, PlannedCall)
        planned = PlannedCall.from_state((replace(planned, **other)).state())
        return await self.approve(planned)

    async def approve(self, planned: PlannedCall) -> PlannedCall:
        request = Request(call=planned, thread_id="t1", interrupt_id=planned.tool_version or "")
        approval = await self.queue.request(request)
        await self.queue.decide(approval.approval_id, DecisionInput("approve", decided_by="dana", via="rest"))
        return planned

    async def execution(self) -> list[str | None]:
        return [one.execution for one in await self.queue.of_thread("t1")]


async def _nobody(*_: Any, **__: Any) -> bool:
    return False


@pytest.fixture
def desk(state: StateDatabase, bank: Bank) -> Desk:
    return Desk(state, bank)


async def test_a_tool_that_its_system_describes_otherwise_is_asked_again_and_then_runs(
    desk: Desk, bank: Bank
) -> None:
    planned = await desk.approved()
    bank.now = [bank.defined(DEFINITION | {"path": "/pay/all"})]
    again = await desk.gate.recheck(planned, "t1")
    assert isinstance(again, PlannedCall)
    assert again.changed == [{"subject": "", "field": "path", "before": "/pay", "after": "/pay/all"}]
    assert again.target == {"method": "POST", "url": "https://bank.example/pay/all"}
    await desk.approve(again)
    assert await desk.gate.recheck(again, "t1") is None
    assert (await desk.gate.execute(again, CALLER, "t1")).status == "ok"
    assert (await desk.execution(), bank.runs) == (["failed", "done"], 1)


@pytest.mark.parametrize("now", [None, ToolUnavailable("The server does not answer.")])
async def test_a_tool_that_is_gone_or_can_not_be_read_does_not_run(desk: Desk, bank: Bank, now: Any) -> None:
    planned = await desk.approved()
    bank.now = [now]
    refused = await desk.gate.recheck(planned, "t1")
    assert isinstance(refused, CallResult)
    assert ("no longer offered" in refused.text) == (now is None)
    assert (await desk.execution(), bank.runs) == (["failed"], 0)


@pytest.mark.parametrize("now", [DEFINITION | {"path": "/pay/all"}, None])
async def test_a_change_between_the_comparison_and_the_write_stops_it(
    desk: Desk, bank: Bank, now: dict[str, str] | None
) -> None:
    planned = await desk.approved()
    bank.now = [bank.tool, bank.defined(now) if now else None]
    assert await desk.gate.recheck(planned, "t1") is None
    assert (await desk.gate.execute(planned, CALLER, "t1")).status == "error"
    assert (await desk.execution(), bank.runs) == (["failed"], 0)


async def test_a_tool_that_only_reads_by_now_does_not_run_on_an_approval(desk: Desk, bank: Bank) -> None:
    planned = await desk.approved()
    desk.registry.replace(Registry([replace(bank.defined(DEFINITION | {"path": "/x"}), access=Access.READ)]))
    assert await desk.gate.recheck(planned, "t1") is None
    assert (await desk.gate.execute(planned, CALLER, "t1")).status == "error"
    assert bank.runs == 0


async def test_an_approval_of_an_earlier_release_runs_where_its_tool_is_the_same(
    desk: Desk, bank: Bank
) -> None:
    former = replace(bank.tool, former_version="0123456789abcdef", refresh=bank.refresh)
    desk.registry.replace(Registry([former]))
    bank.now = [former]
    planned = await desk.approved(tool_version="0123456789abcdef", definition=None, target=None)
    assert await desk.gate.recheck(planned, "t1") is None
    assert (await desk.gate.execute(planned, CALLER, "t1")).status == "ok"
    assert bank.runs == 1


async def test_an_approval_of_an_earlier_release_is_asked_again_where_its_tool_changed(
    desk: Desk, bank: Bank
) -> None:
    planned = await desk.approved(tool_version="0123456789abcdef", definition=None, target=None)
    bank.now = [bank.defined(DEFINITION | {"path": "/pay/all"})]
    again = await desk.gate.recheck(planned, "t1")
    assert isinstance(again, PlannedCall)
    assert again.changed == [
        {
            "subject": "",
            "field": "what it does",
            "before": "not recorded",
            "after": "POST https://bank.example/pay/all",
        }
    ]
    assert bank.runs == 0
