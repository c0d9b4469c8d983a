"""The money of a call."""

from typing import Any

import pytest

from smart_support.approvals.amount import Amount, amount_of

_EUROS = [{"subject": "invoice", "field": "new", "before": "none", "after": "€1,096.00"}]
_FRANCS = [{"subject": "order", "field": "refund", "before": "none", "after": "CHF 168.00"}]


@pytest.mark.parametrize(
    ("args", "facts", "effect", "amount"),
    [
        ({"amount_cents": 2500}, {"amount_cents": 2500, "currency": "GBP"}, None, Amount(2500, "GBP")),
        ({"order_id": "1"}, {"amount_cents": 12400, "currency": "EUR"}, None, Amount(12400, "EUR")),
        ({"amount_cents": 1000}, {"amount_cents": 2500, "currency": "GBP"}, None, Amount(1000, "GBP")),
        ({"amount_minor": 5, "currency": "usd"}, None, None, Amount(5, "USD")),
        ({}, {"amount_cents": 109600}, _EUROS, Amount(109600, "EUR")),
        ({}, {"amount_cents": 16800, "currency": None}, _FRANCS, Amount(16800, "CHF")),
        # The line of the effect is about another amount.
        ({}, {"amount_cents": 109601}, _EUROS, Amount(109601, None)),
        ({"amount_cents": 2500}, None, None, Amount(2500, None)),
        ({"amount_cents": 2500, "currency": "a.b"}, None, None, Amount(2500, None)),
        # Nothing is moved, or it is not said in which unit.
        ({}, {"amount_cents": 0, "currency": "GBP"}, None, None),
        ({"amount": 25, "currency": "EUR"}, None, None, None),
        ({"amount_cents": True}, None, None, None),
        ({"amount_cents": "2500"}, None, None, None),
        ({}, None, None, None),
    ],
)
def test_amount_of_a_call(args: Any, facts: Any, effect: Any, amount: Amount | None) -> None:
    assert amount_of(args, facts, effect) == amount
