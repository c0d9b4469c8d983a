"""The demo bank's rules and limits; what is refused changes nothing, and a preview says what running does."""

from typing import Any

import pytest

from smart_support import clock
from smart_support.demo.bank.tools import FintechTools
from smart_support.demo.store import DemoStore
from smart_support.errors import InvalidArguments, ToolRefused
from smart_support.money import format_money
from smart_support.tools.registry import Access, Registry
from tests.demo.conftest import Use

TOOLSET = FintechTools
CARD_PAYMENT, SALARY = "TX-50005", "TX-50003"
OWN: dict[str, Any] = {"customer_id": "CU-1001", "from_account": "checking", "to_account": "savings"}
FROZEN = OWN | {"customer_id": "CU-1006"}


def _balance(store: DemoStore, customer: str, kind: str) -> int:
    return next(
        int(row["balance_cents"])
        for row in store.dump()["accounts"]
        if (row["customer_id"], row["kind"]) == (customer, kind)
    )


async def _effect(registry: Registry, name: str, **args: Any) -> list[tuple[str, str, str, str]]:
    tool = registry.get(name)
    assert tool
    assert tool.preview
    return [(line.subject, line.field, line.before, line.after) for line in await tool.preview(args)]


async def test_money_goes_from_one_own_account_to_the_other(
    use: Use, registry: Registry, store: DemoStore
) -> None:
    checking, savings = _balance(store, "CU-1001", "checking"), _balance(store, "CU-1001", "savings")
    effect = await _effect(registry, "transfer_between_accounts", **OWN, amount_cents=25_000)
    assert [line[:2] for line in effect] == [
        ("checking of CU-1001", "balance"),
        ("savings of CU-1001", "balance"),
    ]
    assert effect[1][3] == format_money(savings + 25_000, "EUR")
    done = await use("transfer_between_accounts", **OWN, amount_cents=25_000)
    assert done["message"] == "€250.00 was transferred from checking to savings of CU-1001."
    assert _balance(store, "CU-1001", "checking") == checking - 25_000
    assert _balance(store, "CU-1001", "savings") == savings + 25_000
    listed = await use("list_transactions", customer_id="CU-1001", account="savings")
    assert listed["transactions"][0]["amount_cents"] == 25_000


async def test_a_payee_is_paid_and_the_card_says_who_that_is(
    use: Use, registry: Registry, store: DemoStore
) -> None:
    before = _balance(store, "CU-1001", "checking")
    effect = await _effect(registry, "transfer_to_payee", payee_id="PAY-4001", amount_cents=8_000)
    iban = next(row["iban"] for row in store.dump()["payees"] if row["payee_id"] == "PAY-4001")
    assert (f"Stadtwerke Energie, {iban}", "payment", "none", "€80.00") in effect
    await use("transfer_to_payee", payee_id="pay-4001", amount_cents=8_000)
    assert _balance(store, "CU-1001", "checking") == before - 8_000


async def test_a_day_has_a_limit_over_all_transfers(use: Use) -> None:
    await use("transfer_between_accounts", **OWN, amount_cents=500_000)
    await use("transfer_to_payee", payee_id="PAY-4001", amount_cents=200_000, from_account="savings")
    assert "€1,000.00 can be transferred" in (await use("get_balance", customer_id="CU-1001"))["message"]
    with pytest.raises(ToolRefused, match=r"limit of 24 hours: €1,000\.00 of €8,000\.00 is left"):
        await use("transfer_to_payee", payee_id="PAY-4001", amount_cents=100_001, from_account="savings")
    await use("transfer_to_payee", payee_id="PAY-4001", amount_cents=100_000, from_account="savings")
    clock.advance(24 * 3600 + 1)
    await use("transfer_to_payee", payee_id="PAY-4001", amount_cents=100_001, from_account="savings")


async def test_a_card_is_blocked_by_its_last_digits(use: Use, registry: Registry) -> None:
    effect = await _effect(registry, "block_card", card_number="4242")
    assert effect == [("Visa card ending 4242", "status", "active", "blocked")]
    done = await use("block_card", card_number=" 4242 ", reason="stolen")
    assert done["card_id"] == "CARD-3001"
    assert "Visa ending 4242 (blocked)" in (await use("list_cards", customer_id="CU-1001"))["message"]


async def test_digits_that_two_cards_share_need_the_cards_id(use: Use) -> None:
    with pytest.raises(ToolRefused, match="More than one card ends in 9090"):
        await use("block_card", card_number="9090")
    shared = (await use("list_cards", customer_id="CU-1020"))["cards"][0]["card_id"]
    assert (await use("block_card", card_number=shared))["card_id"] == shared


async def test_a_frozen_customers_card_can_still_be_blocked(use: Use) -> None:
    assert (await use("block_card", card_number="6006"))["status"] == "blocked"


async def test_a_card_payment_is_disputed_once(use: Use, registry: Registry, store: DemoStore) -> None:
    balance = _balance(store, "CU-1001", "checking")
    args = {"transaction_id": CARD_PAYMENT, "reason": "I never stayed there"}
    [line] = await _effect(registry, "dispute_transaction", **args)
    assert line[1:] == ("dispute", "none", "€230.14")
    done = await use("dispute_transaction", **args)
    assert "€230.14 at Grand Plaza Hotel" in done["message"]
    assert _balance(store, "CU-1001", "checking") == balance
    with pytest.raises(ToolRefused, match="already been disputed"):
        await use("dispute_transaction", **args)


async def test_a_payment_can_be_disputed_for_120_days(use: Use, store: DemoStore) -> None:
    booked = next(
        clock.parse(row["booked_at"])
        for row in store.dump()["transactions"]
        if row["transaction_id"] == CARD_PAYMENT
    )
    clock.advance(120 * 86_400 + 60 - (clock.now() - booked).total_seconds())
    with pytest.raises(ToolRefused, match="120 days"):
        await use("dispute_transaction", transaction_id=CARD_PAYMENT, reason="never")


@pytest.mark.parametrize(
    ("tool", "args", "words"),
    [
        ("transfer_between_accounts", OWN | {"amount_cents": 500_001}, "€5,000.00 at most"),
        ("transfer_between_accounts", OWN | {"amount_cents": 0}, "more than zero"),
        ("transfer_between_accounts", OWN | {"amount_cents": -500}, "more than zero"),
        ("transfer_between_accounts", OWN | {"to_account": "checking", "amount_cents": 1}, "two accounts"),
        ("transfer_between_accounts", OWN | {"customer_id": "CU-1004", "amount_cents": 499_999}, "holds"),
        ("transfer_between_accounts", FROZEN | {"amount_cents": 100}, "frozen"),
        ("transfer_between_accounts", OWN | {"customer_id": "CU-9999", "amount_cents": 1}, "CU-9999"),
        ("transfer_to_payee", {"payee_id": "PAY-9999", "amount_cents": 100}, "saved payee 'PAY-9999'"),
        ("transfer_to_payee", {"payee_id": "PAY-4001", "amount_cents": 500_001}, "€5,000.00 at most"),
        ("block_card", {"card_number": "0000"}, "0000"),
        ("block_card", {"card_number": "1881"}, "already blocked"),
        ("dispute_transaction", {"transaction_id": SALARY, "reason": "x"}, "not a card payment"),
        ("dispute_transaction", {"transaction_id": "TX-1", "reason": "x"}, "TX-1"),
        ("get_balance", {"customer_id": "CU-9999"}, "CU-9999"),
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


async def test_money_goes_to_no_account_that_is_not_named_in_the_schema(use: Use) -> None:
    with pytest.raises(InvalidArguments, match="to_account"):
        await use("transfer_between_accounts", **OWN | {"to_account": "offshore"}, amount_cents=1)


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("transfer_between_accounts", OWN | {"amount_cents": 25_000}),
        ("transfer_to_payee", {"payee_id": "PAY-4001", "amount_cents": 8_000}),
        ("block_card", {"card_number": "4242"}),
        ("dispute_transaction", {"transaction_id": CARD_PAYMENT, "reason": "never there"}),
    ],
)
async def test_the_same_key_has_the_effect_of_once(
    use: Use, store: DemoStore, tool: str, args: dict[str, Any]
) -> None:
    first = await use(tool, key="k", **args)
    after = store.dump()
    assert await use(tool, key="k", **args) == first
    assert store.dump() == after
    with pytest.raises(ToolRefused, match="another call"):
        await use("block_card", key="k", card_number="7310")


async def test_the_policy_is_told_what_the_bank_knows(registry: Registry, store: DemoStore) -> None:
    tool = registry.get("transfer_to_payee")
    assert tool
    assert tool.facts
    facts = await tool.facts({"payee_id": "PAY-4002", "amount_cents": 8_000})
    assert set(facts) == set(tool.fact_names)
    assert (facts["payee_days"], facts["amount_cents"], facts["left_cents"]) == (1, 8_000, 800_000)
    assert facts["balance_cents"] == _balance(store, "CU-1001", "checking")
    frozen = registry.get("block_card")
    assert frozen
    assert frozen.facts
    assert (await frozen.facts({"card_number": "6006"}))["account"] == "frozen"


async def test_a_card_is_built_on_the_balances(use: Use, registry: Registry) -> None:
    tool = registry.get("transfer_to_payee")
    assert tool
    assert tool.state
    args = {"payee_id": "PAY-4001", "amount_cents": 8_000}
    before = await tool.state(args)
    clock.advance(3600)
    assert await tool.state(args) == before
    await use("transfer_between_accounts", **OWN, amount_cents=100)
    assert await tool.state(args) != before


@pytest.mark.parametrize(
    "args",
    [
        {"customer_id": "cu-1001"},
        {"payee_id": "PAY-4001"},
        {"card_number": "4242"},
        {"transaction_id": CARD_PAYMENT},
    ],
)
async def test_a_call_belongs_to_the_customer_it_speaks_of(registry: Registry, args: dict[str, Any]) -> None:
    tool = registry.get("get_balance")
    assert tool
    assert tool.customer
    assert await tool.customer(args) == "CU-1001"
    assert await tool.customer(dict.fromkeys(args, "unknown")) is None


def test_access_is_declared_where_a_tool_is_defined(registry: Registry) -> None:
    reads = {tool.name for tool in registry if tool.access is Access.READ}
    assert reads == {"get_balance", "list_transactions", "list_cards", "list_payees"}
    assert all(tool.idempotent and tool.summarise for tool in registry if tool.name not in reads)
