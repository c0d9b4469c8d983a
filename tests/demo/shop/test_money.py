"""Whatever is called in whatever order, the shop's money adds up, and a preview says what running does."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from smart_support import clock
from smart_support.demo.shop.changes import EFFECT
from smart_support.demo.shop.tools import CommerceTools
from smart_support.demo.store import DemoStore
from smart_support.errors import SmartSupportError
from smart_support.tools.registry import Call, Registry, tools_of
from tests.demo.conftest import SEED
from tests.support.examples import examples

ORDER = {
    "pending": 0,
    "processing": 1,
    "shipped": 2,
    "delivered": 3,
    "returned": 4,
    "refunded": 4,
    "cancelled": 5,
}
orders = st.sampled_from(["1042", "1043", "1044", "1045", "1046", "1047", "1048", "1004", "1005", "1008"])


class Shop(RuleBasedStateMachine):
    """Writes in any order, some twice with one key."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = DemoStore(self.folder / "shop.sqlite", SEED)
        self.tools = Registry(tools_of(CommerceTools(self.store)))
        self.loop = asyncio.new_event_loop()
        self.before = self.store.dump()

    def teardown(self) -> None:
        self.store.close()
        self.loop.close()
        shutil.rmtree(self.folder)

    @rule(order_id=orders, twice=st.booleans())
    def cancel(self, order_id: str, twice: bool) -> None:
        self._write("cancel_order", twice, order_id=order_id)

    @rule(order_id=orders, cents=st.none() | st.integers(-10, 30_000), twice=st.booleans())
    def refund(self, order_id: str, cents: int | None, twice: bool) -> None:
        self._write(
            "refund_order", twice, order_id=order_id, **({} if cents is None else {"amount_cents": cents})
        )

    @rule(order_id=orders, percent=st.integers(-5, 130), twice=st.booleans())
    def discount(self, order_id: str, percent: int, twice: bool) -> None:
        self._write("apply_discount", twice, order_id=order_id, percent=percent)

    @rule(order_id=orders, number=st.integers(1, 99))
    def move(self, order_id: str, number: int) -> None:
        self._write(
            "update_shipping_address", False, order_id=order_id, new_address=f"{number} Rue Neuve, 69001 Lyon"
        )

    @rule(percent=st.integers(-5, 130), days=st.integers(-1, 400), twice=st.booleans())
    def coupon(self, percent: int, days: int, twice: bool) -> None:
        self._write("generate_coupon", twice, percent=percent, valid_days=days)

    @invariant()
    def money_adds_up(self) -> None:
        tables = self.store.dump()
        returned: dict[str, int] = {}
        for row in tables["refunds"]:
            returned[row["order_id"]] = returned.get(row["order_id"], 0) + row["amount_cents"]
        for row in tables["orders"]:
            assert row["refunded_cents"] == returned.get(row["order_id"], 0)
            assert 0 <= row["refunded_cents"] <= row["paid_cents"]
            assert row["total_cents"] == row["subtotal_cents"] - row["discount_cents"] + row["shipping_cents"]

    @invariant()
    def no_order_goes_back(self) -> None:
        tables = self.store.dump()
        was = {row["order_id"]: row["status"] for row in self.before["orders"]}
        assert all(ORDER[row["status"]] >= ORDER[was[row["order_id"]]] for row in tables["orders"])
        self.before = tables

    def _write(self, name: str, twice: bool, **args: Any) -> None:
        tool, call = self.tools.get(name), Call("t", "c", clock.new_id())
        assert tool
        assert tool.preview
        before = self.store.dump()
        try:
            shown = self._run(tool.preview(args))
        except SmartSupportError as refusal:
            assert self.store.dump() == before
            try:
                self._run(tool.run(args, call))
            except SmartSupportError as again:
                assert again.message == refusal.message
            else:
                raise AssertionError("it ran though its preview was refused")
            assert self.store.dump() == before
            return
        assert self.store.dump() == before
        result = self._run(tool.run(args, call))
        after = self.store.dump()
        assert EFFECT.describe(before, after) == shown
        if twice:
            assert self._run(tool.run(args, call)) == result
            assert self.store.dump() == after

    def _run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)


Shop.TestCase.settings = settings(max_examples=examples(15), stateful_step_count=12, deadline=None)
TestShop = pytest.mark.slow(Shop.TestCase)
