"""On a conversation that is bound to a customer, no call touches the things of another one."""

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
from smart_support.conversation.sessions import SessionManager
from smart_support.demo.bank.tools import FintechTools
from smart_support.demo.saas.tools import SaasTools
from smart_support.demo.shop.tools import CommerceTools
from smart_support.demo.store import DemoStore
from smart_support.errors import CustomerMismatch, ToolRefused
from smart_support.gate.call_result import CallResult
from smart_support.gate.caller import Caller
from smart_support.gate.customer_binding import CustomerBinding, Unverified
from smart_support.gate.gate import Gate
from smart_support.gate.planned_call import PlannedCall
from smart_support.identity.customer_tokens import VerifiedCustomer
from smart_support.settings import ROOT
from smart_support.storage.state.base import StateDatabase
from smart_support.tools.registry import Access, Args, Call, Registry, Tool, tools_of
from tests.support.harness import demo_orders
from tests.support.stores import state_of

TOOLSETS: dict[str, Any] = {"shop": CommerceTools, "fintech": FintechTools, "saas": SaasTools}
MAYA = VerifiedCustomer("C-2001", "Maya Chen")


class Desk:
    """A gate over one demo business, and its sessions."""

    def __init__(self, folder: Path, business: str, *more: Tool, unverified: Unverified = "allow") -> None:
        self.state: StateDatabase = state_of(folder)
        self.store = DemoStore(folder / f"{business}.sqlite", ROOT / "data" / business, business)
        self.sessions = SessionManager(self.state, 60)
        self.queue = ApprovalQueue(self.state, 60)
        self.tools = [*tools_of(TOOLSETS[business](self.store)), *more]
        self.caller = Caller("agent", frozenset(tool.name for tool in self.tools))
        self.calls = 0
        self.gate = Gate(
            registry=Registry(self.tools),
            policy=Policy(()),
            approvals=self.queue,
            ledger=Ledger(self.state),
            quota=Quota(self.state),
            escalate=_nobody,
            customers=CustomerBinding(self._bound, unverified),
        )

    async def _bound(self, thread_id: str) -> str | None:
        customer = await self.sessions.customer_of(thread_id)
        return customer.id if customer else None

    async def plan(self, tool: str, thread_id: str = "t", **args: Any) -> PlannedCall | CallResult:
        self.calls += 1
        call_id = f"c{self.calls}"
        return await self.gate.plan(self.caller, tool, args, tool_call_id=call_id, thread_id=thread_id)

    async def approved(self, planned: PlannedCall, thread_id: str = "t") -> None:
        request = Request(call=planned, thread_id=thread_id, interrupt_id=planned.tool_call_id)
        approval = await self.queue.request(request)
        await self.queue.decide(approval.approval_id, DecisionInput("approve", decided_by="dana", via="rest"))

    def close(self) -> None:
        self.store.close()
        self.state.close()


async def _nobody(*_: Any, **__: Any) -> bool:
    return False


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, "shop", _tool("opening_hours", "none"), _tool("look_up", "unknown"))
    yield made
    made.close()


def _tool(name: str, source: Any) -> Tool:
    async def run(args: Args, call: Call) -> Any:
        return {"message": "From nine to five."}

    async def customer(args: Args) -> str | None:
        return MAYA.id

    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    return Tool(name, "Says something.", schema, Access.READ, run, customer=customer, customer_source=source)


def _is_refused(result: PlannedCall | CallResult) -> bool:
    return isinstance(result, CallResult) and result.status == "error" and "nothing was done" in result.text


def _values(store: DemoStore, business: str) -> dict[str, list[str]]:
    """Every value of every identifying argument that there is, by the argument's name."""
    columns = {
        "shop": {"order_id": "orders", "email": "customers"},
        "fintech": {
            "customer_id": "customers",
            "last4": "cards",
            "payee_id": "payees",
            "transaction_id": "transactions",
        },
        "saas": {"subscription_id": "subscriptions", "email": "customers"},
    }[business]
    return {
        {"last4": "card_number"}.get(name, name): [
            str(row[name]) for row in store.read(f"SELECT {name} FROM {table} LIMIT 60")
        ]
        for name, table in columns.items()
    }


_OTHERS: dict[str, Any] = {
    **{"percent": 10, "new_address": "1 New Street, Berlin", "reason": "because", "amount_cents": 100},
    **{"from_account": "checking", "to_account": "savings", "new_plan": "team", "days": 3},
}


@pytest.mark.parametrize("business", TOOLSETS)
async def test_a_hostile_model_reaches_only_the_customers_own_things(tmp_path: Path, business: str) -> None:
    """It tries every tool with every id there is; what passes belongs to the customer, as the system says."""
    desk = Desk(tmp_path, business)
    values = _values(desk.store, business)
    owner = {tool.name: tool.customer for tool in desk.tools}
    someone = desk.store.read("SELECT customer_id FROM customers LIMIT 1")[0]["customer_id"]
    await desk.sessions.bind_customer("t", VerifiedCustomer(someone))
    tried, passed = 0, 0
    for tool in desk.tools:
        for name in set(values) & tool.schema["properties"].keys():
            for value in values[name]:
                args = {key: _OTHERS[key] for key in tool.schema["required"] if key != name} | {name: value}
                result = await desk.plan(tool.name, **args)
                tried += 1
                find = owner[tool.name]
                assert find
                if await find(args) == someone:
                    passed += not _is_refused(result)
                else:
                    assert _is_refused(result), (tool.name, args, result)
    assert passed
    assert tried > 200
    desk.close()


async def test_another_customers_things_and_what_does_not_exist_sound_the_same(desk: Desk) -> None:
    await desk.sessions.bind_customer("t", MAYA)
    others = await desk.plan("get_order_status", order_id="1043")
    missing = await desk.plan("get_order_status", order_id="999999")
    assert isinstance(others, CallResult)
    assert isinstance(missing, CallResult)
    assert others.text == missing.text
    assert isinstance(await desk.plan("get_order_status", order_id="1042"), PlannedCall)
    # On the side thread of a pending approval, too.
    assert _is_refused(await desk.plan("get_order_status", "t~i1", order_id="1043"))


async def test_tools_of_nobody_pass_and_unknown_ones_do_not(desk: Desk) -> None:
    assert isinstance(await desk.plan("look_up"), PlannedCall)
    await desk.sessions.bind_customer("t", MAYA)
    assert isinstance(await desk.plan("opening_hours"), PlannedCall)
    assert isinstance(await desk.plan("generate_coupon", percent=5), PlannedCall)
    assert _is_refused(await desk.plan("look_up"))


async def test_a_call_that_was_approved_before_is_checked_again(desk: Desk) -> None:
    others = next(order for order in demo_orders("processing") if order != "1042")
    planned = await desk.plan("cancel_order", order_id=others)
    assert isinstance(planned, PlannedCall)
    assert planned.customer_id != MAYA.id
    await desk.approved(planned)
    await desk.sessions.bind_customer("t", MAYA)
    result = await desk.gate.recheck(planned, "t")
    assert isinstance(result, CallResult)
    assert _is_refused(result)
    [approval] = await desk.queue.of_thread("t")
    assert (approval.execution, approval.execution_reason) == ("failed", "it is not for this customer")


async def test_an_edit_can_not_reach_another_customer(desk: Desk) -> None:
    await desk.sessions.bind_customer("t", MAYA)
    planned = await desk.plan("cancel_order", order_id="1042")
    assert isinstance(planned, PlannedCall)
    approval = await desk.queue.request(Request(call=planned, thread_id="t", interrupt_id="i"))
    assert approval.wire()["customer"] == {"id": "C-2001", "verified": True, "name": "Maya Chen"}
    with pytest.raises(ToolRefused):
        await desk.gate.edit(approval, {"order_id": "1043"})


async def test_a_card_says_that_nobody_vouches(desk: Desk) -> None:
    planned = await desk.plan("cancel_order", order_id="1042")
    assert isinstance(planned, PlannedCall)
    approval = await desk.queue.request(Request(call=planned, thread_id="t", interrupt_id="i"))
    assert approval.wire()["customer"] == {"id": "C-2001", "verified": False}
    nobodys = replace(planned, customer_id=None)
    assert replace(approval, call=nobodys).wire()["customer"] is None


@pytest.mark.parametrize(
    ("unverified", "passes"),
    [("allow", (True, True, True)), ("reads_only", (True, True, False)), ("refuse", (True, False, False))],
)
async def test_what_nobody_vouches_for(
    tmp_path: Path, unverified: Unverified, passes: tuple[bool, ...]
) -> None:
    desk = Desk(tmp_path, "shop", _tool("opening_hours", "none"), unverified=unverified)
    calls = [
        ("opening_hours", {}),
        ("get_order_status", {"order_id": "1042"}),
        ("cancel_order", {"order_id": "1042"}),
    ]
    for thread_id, expected in (("t", passes), ("bound", (True, True, True))):
        if thread_id == "bound":
            await desk.sessions.bind_customer("bound", MAYA)
        results = [await desk.plan(tool, thread_id, **args) for tool, args in calls]
        assert tuple(isinstance(one, PlannedCall) for one in results) == expected
    desk.close()


async def test_the_first_customer_binds_a_thread(desk: Desk) -> None:
    await desk.sessions.bind_customer("t", MAYA)
    await desk.sessions.bind_customer("t", VerifiedCustomer("C-2001", email="maya@example.com"))
    with pytest.raises(CustomerMismatch):
        await desk.sessions.bind_customer("t", VerifiedCustomer("C-2002"))
    assert await desk.sessions.customer_of("t") == VerifiedCustomer("C-2001", "Maya Chen", "maya@example.com")
