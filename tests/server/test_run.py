"""The process that serves: it looks for garbage seldom, and is quiet while nobody asks anything."""

import gc
import time
from pathlib import Path

import pytest

from smart_support.server.run import without_garbage_collection
from tests.support.harness import AppProcess


def test_what_is_made_to_last_is_looked_through_neither_now_nor_later() -> None:
    try:
        with without_garbage_collection():
            assert not gc.isenabled()
            made = [[] for _ in range(1000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() > 1000
        assert not any(one is made for one in gc.get_objects())
    finally:
        gc.unfreeze()


def test_after_a_start_that_failed_garbage_is_looked_for_again() -> None:
    try:
        with pytest.raises(OSError, match="no room"), without_garbage_collection():
            raise OSError("no room")
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_an_idle_app_seldom_wakes_up(tmp_path: Path) -> None:
    with AppProcess(tmp_path / "var") as app:
        status = Path(f"/proc/{app.process.pid}/status")

        def waits() -> int:
            lines = status.read_text().splitlines()
            return int(next(line.split()[1] for line in lines if line.startswith("voluntary_ctxt")))

        before, began = waits(), time.monotonic()
        time.sleep(1)  # The subject of this test: a second in which nobody asks anything.
        assert (waits() - before) / (time.monotonic() - began) < 300
