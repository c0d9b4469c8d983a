"""The demo store: seeded once, a write is whole or nothing and once a key, a trial leaves no trace."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from smart_support import clock
from smart_support.demo.bank.tools import FintechTools
from smart_support.demo.saas.tools import SaasTools
from smart_support.demo.shop.tools import CommerceTools
from smart_support.demo.store import DemoStore
from smart_support.demo.toolset import DemoToolset
from smart_support.errors import ConfigError, ToolRefused
from smart_support.tools.registry import Call
from tests.demo.conftest import SEED, seed_of

CALL = Call("thread", "call", "key")


def _owned(store: DemoStore, work: Callable[[], Any]) -> Any:
    return store.executor.submit(work).result()


def _frozen(store: DemoStore) -> dict[str, Any]:
    """A write: the first customer's account is frozen."""
    store.execute(
        "UPDATE customers SET status = 'frozen' WHERE customer_id = (SELECT min(customer_id) FROM customers)"
    )
    return {"message": "done"}


def _broken(store: DemoStore) -> dict[str, Any]:
    """A write that breaks half-way."""
    _frozen(store)
    raise ZeroDivisionError


def test_a_new_store_has_every_committed_row(store: DemoStore) -> None:
    tables = store.dump()
    assert tables.pop("write_journal") == []
    assert {name: len(rows) for name, rows in tables.items()} == {
        file.stem: len(orjson.loads(file.read_bytes())) for file in SEED.glob("*.json")
    }


def test_days_ago_are_counted_from_the_first_opening(store: DemoStore) -> None:
    seeded = {row["order_id"]: row for row in orjson.loads((SEED / "orders.json").read_bytes())}
    placed = {row["order_id"]: clock.parse(row["placed_at"]) for row in store.dump()["orders"]}
    for number, row in seeded.items():
        age = clock.now() - placed[number] - timedelta(days=row["placed_days_ago"])
        assert timedelta() <= age < timedelta(minutes=1)


def test_a_store_opened_again_keeps_what_was_written(tmp_path: Path) -> None:
    first = DemoStore(tmp_path / "shop.sqlite", SEED)
    _owned(first, lambda: first.once(CALL, "freeze", lambda: _frozen(first)))
    written = first.dump()
    first.close()
    again = DemoStore(tmp_path / "shop.sqlite", SEED)
    assert again.dump() == written
    assert _owned(again, lambda: again.once(CALL, "freeze", lambda: _broken(again))) == {"message": "done"}
    again.close()


def test_a_write_that_breaks_is_undone_and_its_key_is_free(store: DemoStore) -> None:
    before = store.dump()
    with pytest.raises(ZeroDivisionError):
        _owned(store, lambda: store.once(CALL, "freeze", lambda: _broken(store)))
    assert store.dump() == before
    _owned(store, lambda: store.once(CALL, "freeze", lambda: _frozen(store)))
    assert store.dump() != before


def test_a_key_stands_for_one_call(store: DemoStore) -> None:
    _owned(store, lambda: store.once(CALL, "freeze", lambda: _frozen(store)))
    before = store.dump()
    with pytest.raises(ToolRefused, match="another call"):
        _owned(store, lambda: store.once(CALL, "thaw", lambda: _broken(store)))
    assert store.dump() == before


def test_a_trial_leaves_no_trace_whether_it_works_or_breaks(store: DemoStore) -> None:
    before = store.dump()

    def cancel() -> None:
        store.once(CALL, "cancel", lambda: store.execute("UPDATE orders SET status = 'cancelled'") or {})

    _, after = _owned(store, lambda: store.try_out(cancel, ("orders",)))
    assert {row["status"] for row in after["orders"]} == {"cancelled"}
    with pytest.raises(ZeroDivisionError):
        _owned(store, lambda: store.try_out(lambda: store.once(CALL, "freeze", lambda: _broken(store)), ()))
    assert store.dump() == before


def test_nothing_is_written_outside_of_a_transaction(store: DemoStore) -> None:
    before = store.dump()
    with pytest.raises(RuntimeError):
        _owned(store, lambda: _frozen(store))
    assert store.dump() == before


@pytest.mark.parametrize("text", [None, "{", '["no row"]', '[{"colour": "red"}]'])
def test_a_seed_that_can_not_be_used_says_where(tmp_path: Path, text: str | None) -> None:
    seed = tmp_path / "seed"
    seed.mkdir()
    if text is not None:
        (seed / "customers.json").write_text(text)
    with pytest.raises(ConfigError, match="seed"):
        DemoStore(tmp_path / "shop.sqlite", seed)
    # Nothing half-seeded is left: the next opening starts anew.
    store = DemoStore(tmp_path / "shop.sqlite", SEED)
    assert store.dump()["customers"]
    store.close()


@pytest.mark.parametrize("toolset", [CommerceTools, SaasTools, FintechTools])
def test_the_committed_rows_are_what_make_py_makes(tmp_path: Path, toolset: type[DemoToolset]) -> None:
    shutil.copy(seed_of(toolset) / "make.py", tmp_path)
    subprocess.run([sys.executable, str(tmp_path / "make.py")], check=True, capture_output=True)
    made = {file.name: file.read_bytes() for file in tmp_path.glob("*.json")}
    assert made
    assert made == {file.name: file.read_bytes() for file in seed_of(toolset).glob("*.json")}
