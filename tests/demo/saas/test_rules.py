"""The demo software company's rules; what is refused changes nothing, and a preview is what running does."""

from datetime import timedelta
from typing import Any

import pytest

from smart_support import clock
from smart_support.demo.saas.tools import SaasTools
from smart_support.demo.store import DemoStore
from smart_support.errors import InvalidArguments, ToolRefused
from smart_support.tools.registry import NOBODY, Access, Registry
from tests.demo.conftest import Use

TOOLSET = SaasTools
ACTIVE, BUSINESS, TRIAL, PAST_DUE, CANCELLED = "SUB-1001", "SUB-1002", "SUB-1003", "SUB-1004", "SUB-1005"
SUSPENDED, CONTRACT, ENDING = "SUB-1006", "SUB-1007", "SUB-1008"


def _row(store: DemoStore, number: str) -> dict[str, Any]:
    return next(row for row in store.dump()["subscriptions"] if row["subscription_id"] == number)


async def _effect(registry: Registry, name: str, **args: Any) -> list[tuple[str, str, str]]:
    tool = registry.get(name)
    assert tool
    assert tool.preview
    return [(line.field, line.before, line.after) for line in await tool.preview(args)]


async def test_an_upgrade_is_charged_for_the_days_left(
    use: Use, registry: Registry, store: DemoStore
) -> None:
    # 8 seats, from 19.00 to 39.00 each, 18 of 30 days left: 160.00 * 18 / 30.
    effect = await _effect(registry, "upgrade_plan", subscription_id="ACCT-1001", new_plan="business")
    assert effect == [
        ("plan", "team", "business"),
        ("monthly price", "€152.00", "€312.00"),
        ("new invoice", "none", "€96.00"),
    ]
    done = await use("upgrade_plan", subscription_id=" acct-1001 ", new_plan="business")
    assert (done["plan"], done["monthly_cents"], done["invoiced_cents"]) == ("business", 31_200, 9_600)
    assert _row(store, ACTIVE)["plan"] == "business"
    assert "€96.00 (open)" in (await use("list_invoices", subscription_id=ACTIVE))["message"]


async def test_what_an_upgrade_costs_is_what_the_policy_is_told(registry: Registry) -> None:
    tool = registry.get("upgrade_plan")
    assert tool
    assert tool.facts
    facts = await tool.facts({"subscription_id": ACTIVE, "new_plan": "business"})
    assert (facts["amount_cents"], facts["account"], facts["plan"]) == (9_600, "active", "team")
    assert set(facts) == set(tool.fact_names)


async def test_a_day_less_is_another_state_than_the_card_showed(registry: Registry) -> None:
    tool = registry.get("upgrade_plan")
    assert tool
    assert tool.state
    args = {"subscription_id": ACTIVE, "new_plan": "business"}
    before = await tool.state(args)
    assert await tool.state(args) == before
    clock.advance(86_400)
    assert before
    assert await tool.state(args) == before | {"days_left": before["days_left"] - 1}


async def test_on_trial_an_upgrade_costs_nothing_yet(use: Use, store: DemoStore) -> None:
    invoices = store.dump()["invoices"]
    done = await use("upgrade_plan", subscription_id=TRIAL, new_plan="business")
    assert done["invoiced_cents"] == 0
    assert "once the trial has ended" in done["message"]
    assert store.dump()["invoices"] == invoices


async def test_a_paid_subscription_ends_when_its_period_does(use: Use, store: DemoStore) -> None:
    renews_at = _row(store, BUSINESS)["renews_at"]
    done = await use("cancel_subscription", subscription_id=BUSINESS, reason="too expensive")
    assert (done["status"], done["ends_at"]) == ("ending", renews_at)
    row = _row(store, BUSINESS)
    assert (row["renews_at"], row["cancel_reason"]) == (None, "too expensive")


@pytest.mark.parametrize("number", [TRIAL, PAST_DUE])
async def test_what_is_not_paid_ends_at_once(use: Use, number: str) -> None:
    done = await use("cancel_subscription", subscription_id=number)
    assert done["status"] == "cancelled"
    assert "ends now" in done["message"]


async def test_a_trial_ends_later_by_as_many_days(use: Use, registry: Registry, store: DemoStore) -> None:
    before = clock.parse(_row(store, TRIAL)["trial_ends_at"])
    [(field, _, after)] = await _effect(registry, "extend_trial", subscription_id=TRIAL, days=7)
    assert (field, after) == ("trial ends", f"{before + timedelta(days=7):%Y-%m-%d}")
    await use("extend_trial", subscription_id=TRIAL, days=7)
    assert clock.parse(_row(store, TRIAL)["trial_ends_at"]) == before + timedelta(days=7)
    await use("extend_trial", subscription_id=TRIAL, days=7)
    with pytest.raises(ToolRefused, match="14 days in total, and 14"):
        await use("extend_trial", subscription_id=TRIAL, days=1)


async def test_a_trial_that_is_over_stays_over(use: Use) -> None:
    clock.advance(4 * 86_400)
    with pytest.raises(ToolRefused, match="ended on"):
        await use("extend_trial", subscription_id=TRIAL, days=1)


@pytest.mark.parametrize(
    ("tool", "args", "words"),
    [
        ("upgrade_plan", {"subscription_id": BUSINESS, "new_plan": "business"}, "already"),
        ("upgrade_plan", {"subscription_id": BUSINESS, "new_plan": "starter"}, "smaller"),
        ("upgrade_plan", {"subscription_id": PAST_DUE, "new_plan": "team"}, "€27.00 to pay"),
        ("upgrade_plan", {"subscription_id": SUSPENDED, "new_plan": "business"}, "suspended"),
        ("upgrade_plan", {"subscription_id": CANCELLED, "new_plan": "business"}, "is cancelled"),
        ("upgrade_plan", {"subscription_id": ENDING, "new_plan": "enterprise"}, "is cancelled"),
        ("cancel_subscription", {"subscription_id": CANCELLED}, "already cancelled"),
        ("cancel_subscription", {"subscription_id": ENDING}, "already cancelled"),
        ("cancel_subscription", {"subscription_id": SUSPENDED}, "suspended"),
        ("cancel_subscription", {"subscription_id": CONTRACT}, "under contract until"),
        ("extend_trial", {"subscription_id": ACTIVE, "days": 3}, "not on trial"),
        ("extend_trial", {"subscription_id": TRIAL, "days": 15}, "14 days in total"),
        ("extend_trial", {"subscription_id": TRIAL, "days": 0}, "at least 1 day"),
        ("extend_trial", {"subscription_id": TRIAL, "days": -4}, "at least 1 day"),
        ("get_subscription", {"subscription_id": "SUB-9999"}, "SUB-9999"),
        ("find_account", {"email": "nobody@example.org"}, "nobody@example.org"),
    ],
)
async def test_a_refusal_says_why(
    use: Use, registry: Registry, store: DemoStore, tool: str, args: dict[str, Any], words: str
) -> None:
    before = store.dump()
    with pytest.raises(ToolRefused) as refused:
        await use(tool, **args)
    assert words in refused.value.message
    known = registry.get(tool)
    assert known
    if known.preview:
        with pytest.raises(ToolRefused) as foreseen:
            await known.preview(args)
        assert foreseen.value.message == refused.value.message
    assert store.dump() == before


async def test_a_plan_there_is_not_is_no_argument(use: Use) -> None:
    with pytest.raises(InvalidArguments, match="new_plan"):
        await use("upgrade_plan", subscription_id=ACTIVE, new_plan="platinum")


async def test_the_same_key_has_the_effect_of_once(use: Use, store: DemoStore) -> None:
    first = await use("upgrade_plan", key="k", subscription_id=ACTIVE, new_plan="business")
    after = store.dump()
    assert await use("upgrade_plan", key="k", subscription_id=ACTIVE, new_plan="business") == first
    assert store.dump() == after
    with pytest.raises(ToolRefused, match="another call"):
        await use("upgrade_plan", key="k", subscription_id=ACTIVE, new_plan="enterprise")


async def test_what_a_customer_asks_is_answered_in_a_sentence(use: Use) -> None:
    assert (
        "on the team plan with 8 seats, for €152.00 a month"
        in (await use("get_subscription", subscription_id="ACCT-1001"))["message"]
    )
    assert "on trial until" in (await use("get_subscription", subscription_id=TRIAL))["message"]
    assert (
        "€27.00 is still to be paid" in (await use("get_subscription", subscription_id=PAST_DUE))["message"]
    )
    found = await use("find_account", email=" Billing@harbour-finch.example ")
    assert found["subscription_id"] == ACTIVE
    assert "business, 39.00" in (await use("list_plans"))["message"]
    assert "no invoices" in (await use("list_invoices", subscription_id=TRIAL))["message"]


async def test_a_call_belongs_to_the_account_it_names(registry: Registry) -> None:
    tool = registry.get("get_subscription")
    assert tool
    assert tool.customer
    assert await tool.customer({"subscription_id": "sub-1003"}) == "ACCT-1003"
    assert await tool.customer({"subscription_id": "SUB-9999"}) is None
    assert await tool.customer({"email": "billing@harbour-finch.example"}) == "ACCT-1001"
    assert await tool.customer({}) == NOBODY


def test_access_is_declared_where_a_tool_is_defined(registry: Registry) -> None:
    writes = {tool.name for tool in registry if tool.access is Access.WRITE}
    assert writes == {"upgrade_plan", "cancel_subscription", "extend_trial"}
    assert all(tool.idempotent and tool.summarise for tool in registry if tool.name in writes)


def test_a_month_costs_what_the_plan_says(store: DemoStore) -> None:
    tables = store.dump()
    prices = {row["plan"]: row["seat_cents"] for row in tables["plans"]}
    assert len(tables["subscriptions"]) >= 50
    for row in tables["subscriptions"]:
        assert row["monthly_cents"] == prices[row["plan"]] * row["seats"]
