"""Whatever is transferred in whatever order: no cent is made or lost, no limit is passed."""

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
from smart_support.demo.bank.tools import FintechTools
from smart_support.demo.store import DemoStore
from smart_support.errors import SmartSupportError
from smart_support.tools.registry import Call, Registry, tools_of
from tests.demo.conftest import seed_of
from tests.support.examples import examples

# Few, so that one of them comes to the limit of a day: one is rich, one poor, one frozen.
customers = st.sampled_from(["CU-1001", "CU-1001", "CU-1004", "CU-1006"])
kinds = st.sampled_from(["checking", "savings"])
amounts = st.integers(-10, 600_000) | st.sampled_from([1, 450_000, 500_000, 500_001])


class Bank(RuleBasedStateMachine):
    """Transfers in any order, some twice with one key, with time between them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = DemoStore(self.folder / "bank.sqlite", seed_of(FintechTools), FintechTools.business)
        self.tools = Registry(tools_of(FintechTools(self.store)))
        self.loop = asyncio.new_event_loop()
        self.before = self.store.dump()

    def teardown(self) -> None:
        self.store.close()
        self.loop.close()
        clock.reset()
        shutil.rmtree(self.folder)

    @rule(customer=customers, source=kinds, into=kinds, cents=amounts, twice=st.booleans())
    def between(self, customer: str, source: str, into: str, cents: int, twice: bool) -> None:
        args = {"customer_id": customer, "from_account": source, "to_account": into, "amount_cents": cents}
        self._write("transfer_between_accounts", args, twice)

    @rule(payee=st.sampled_from([4001, 4002, 4007]), source=kinds, cents=amounts, twice=st.booleans())
    def to_payee(self, payee: int, source: str, cents: int, twice: bool) -> None:
        args = {"payee_id": f"PAY-{payee}", "from_account": source, "amount_cents": cents}
        self._write("transfer_to_payee", args, twice)

    @rule(hours=st.sampled_from([1, 12, 25]))
    def time_passes(self, hours: int) -> None:
        clock.advance(hours * 3600)

    @invariant()
    def no_cent_is_made_or_lost(self) -> None:
        tables = self.store.dump()
        held = sum(row["balance_cents"] for row in tables["accounts"])
        paid = sum(row["amount_cents"] for row in tables["transfers"] if row["payee_id"])
        assert held + paid == sum(row["balance_cents"] for row in self.before["accounts"])

    @invariant()
    def a_balance_is_the_sum_of_its_transactions(self) -> None:
        tables = self.store.dump()
        booked: dict[str, int] = {}
        for row in tables["transactions"]:
            booked[row["account_id"]] = booked.get(row["account_id"], 0) + row["amount_cents"]
        for row in tables["accounts"]:
            assert row["balance_cents"] == booked.get(row["account_id"], 0) >= 0

    @invariant()
    def nobody_is_over_a_limit(self) -> None:
        tables = self.store.dump()
        limits = {row["customer_id"]: row for row in tables["customers"]}
        for last in tables["transfers"]:
            limit, end = limits[last["customer_id"]], clock.parse(last["made_at"])
            assert limit["status"] == "active"
            assert last["amount_cents"] <= limit["transfer_limit_cents"]
            within = sum(
                row["amount_cents"]
                for row in tables["transfers"]
                if row["customer_id"] == last["customer_id"]
                and 0 <= (end - clock.parse(row["made_at"])).total_seconds() < 24 * 3600
            )
            assert within <= limit["daily_limit_cents"]

    def _write(self, name: str, args: dict[str, Any], twice: bool) -> None:
        tool, call = self.tools.get(name), Call("t", "c", clock.new_id())
        assert tool
        assert tool.preview
        before = self.store.dump()
        try:
            shown = self._run(tool.preview(args))
        except SmartSupportError as refusal:
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
        assert FintechTools.effect.describe(before, after) == shown
        if twice:
            assert self._run(tool.run(args, call)) == result
            assert self.store.dump() == after

    def _run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)


Bank.TestCase.settings = settings(max_examples=examples(15), stateful_step_count=12, deadline=None)
TestBank = pytest.mark.slow(Bank.TestCase)
