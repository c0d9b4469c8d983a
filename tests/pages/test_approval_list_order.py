"""The plain functions of the list of approvals, run by Node: order, filters, rows in view, money, names."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from smart_support.money import DECIMALS

SCRIPT = Path(__file__).with_name("approval_list_order.mjs")


@pytest.fixture(scope="module")
def answers() -> Any:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    return json.loads(
        subprocess.run(
            [node, SCRIPT, json.dumps(DECIMALS)], capture_output=True, check=True, text=True
        ).stdout
    )


def test_orders(answers: Any) -> None:
    assert answers["orders"] == {"expiry": "2431", "risk": "2341", "amount": "3412", "oldest": "1234"}


def test_amounts_of_different_currencies_are_not_compared(answers: Any) -> None:
    assert answers["currencies"] == "4231"


def test_amounts_that_the_customer_names_are_compared_with_the_call(answers: Any) -> None:
    assert answers["named"] == ["€21.00, £1,250.5 and 25 EUR", "", "", "", ""]
    assert answers["unnamed"] == ""


def test_ids_that_the_customer_names_are_compared_with_the_call(answers: Any) -> None:
    assert answers["named_ids"] == ["order 1203", "order C-2001", "order 1203 and 1204", *[""] * 7]


def test_filters(answers: Any) -> None:
    assert answers["filters"] == ["43", "41", "3", "4", "23", "4", ""]


def test_only_rows_near_the_view_are_drawn(answers: Any) -> None:
    assert answers["rows"] == [[0, 18], [92, 118], [992, 1000], [0, 3]]


def test_money_and_its_totals(answers: Any) -> None:
    texts = ["€1,250.00", "CHF 86.00", "0.05", "no 0.05", "€1.00 and £50.00", "", "€25.00", None, None]
    assert answers["money"] == texts


def test_a_currency_has_its_own_decimals(answers: Any) -> None:
    assert answers["decimals"] == ["¥2,500", "KWD 1.250", "¥2,500", 2500]


def test_names_of_controls_say_what_they_act_on(answers: Any) -> None:
    assert answers["names"] == [
        "Approve refund £25.00 for order 1044",
        "Claim: refund £25.00 for order 1044",
        "Reject: Refund £25.00 for order 1044",
    ]
