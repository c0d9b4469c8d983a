"""Which calls count as possible duplicates."""

from typing import Any

import pytest

from smart_support.approvals.duplicates import duplicate_key, target_of


def key(tool: str, args: dict[str, Any], customer_id: str | None = "C-1", thread_id: str = "t") -> str:
    return duplicate_key(tool, args, customer_id=customer_id, thread_id=thread_id)


def test_the_target_is_what_names_a_thing() -> None:
    args = {"order_id": "1", "amount_cents": 5, "reason": "x", "cardNumber": "4", "valid": True, "paid": 1}
    assert target_of(args) == {"order_id": "1", "cardNumber": "4"}
    assert target_of({"id": 7, "percent": 10}) == {"id": 7}


REFUND = {"order_id": "1044", "amount_cents": 2500, "reason": "scratched"}


@pytest.mark.parametrize(
    ("one", "other", "is_duplicate"),
    [
        (("refund", REFUND), ("refund", {**REFUND, "amount_cents": 3780, "reason": "late"}), True),
        (("refund", REFUND), ("refund", {"order_id": 1044}), True),
        (("refund", REFUND), ("refund", REFUND, "C-2", "another"), True),
        (("refund", REFUND), ("refund", {**REFUND, "order_id": "1045"}), False),
        (("refund", REFUND), ("cancel", REFUND), False),
        (("coupon", {"percent": 15}), ("coupon", {"percent": 15}, "C-1", "another"), True),
        (("coupon", {"percent": 15}), ("coupon", {"percent": 10}), False),
        (("coupon", {"percent": 15}), ("coupon", {"percent": 15}, "C-2"), False),
        (("coupon", {"percent": 15}, None), ("coupon", {"percent": 15}, None), True),
        (("coupon", {"percent": 15}, None), ("coupon", {"percent": 15}, None, "another"), False),
    ],
)
def test_possible_duplicates(one: Any, other: Any, is_duplicate: bool) -> None:
    assert (key(*one) == key(*other)) is is_duplicate
