"""The process that serves is quiet while nobody asks anything."""

import time
from pathlib import Path

from tests.support.harness import AppProcess


def test_an_idle_app_seldom_wakes_up(tmp_path: Path) -> None:
    with AppProcess(tmp_path / "var") as app:
        status = Path(f"/proc/{app.process.pid}/status")

        def waits() -> int:
            lines = status.read_text().splitlines()
            return int(next(line.split()[1] for line in lines if line.startswith("voluntary_ctxt")))

        before, began = waits(), time.monotonic()
        time.sleep(1)  # The subject of this test: a second in which nobody asks anything.
        assert (waits() - before) / (time.monotonic() - began) < 300
