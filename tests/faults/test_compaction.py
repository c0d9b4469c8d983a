"""Kills while erased conversations leave the files: every other event stays, and the audit verifies."""

import asyncio
import random
import time
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from smart_support import audit, clock
from smart_support.storage.events.embedded import EmbeddedEventStore
from tests.support.harness import AppProcess
from tests.support.stores import of_files
from tests.support.story import record, resolved

pytestmark = of_files

KILLS = 4


def test_kills_during_compaction(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = random.randrange(2**32)
    print(f"FAULTS_SEED={seed}")
    chance = random.Random(seed)

    async def past() -> None:
        log = EmbeddedEventStore(data_dir / "events.duckdb")
        then = clock.now() - timedelta(hours=1)
        gone = (resolved(f"gone-{number}", then, customer_id=f"gone-{number}") for number in range(KILLS))
        await record(log, *gone, *(resolved(f"kept-{number}", then) for number in range(1500)))
        log.close()

    asyncio.run(past())
    for number in range(KILLS):
        app = AppProcess(data_dir).start()
        erased = httpx.delete(f"{app.url}/api/v1/customers/gone-{number}", timeout=30)
        assert erased.json()["data"]["compaction"] == "running", erased.text
        time.sleep(chance.random() * 0.3)  # the moment of the kill is what is tried
        app.kill()
    with AppProcess(data_dir) as app:
        deadline = time.monotonic() + 60
        while app.get("/erasure")["compaction"] == "running":
            assert time.monotonic() < deadline
            time.sleep(0.05)  # a compaction has no event to await
        assert app.get("/erasure")["compaction"] in ("done", "none")  # none: the last kill came too late
        assert app.get("/analytics", range="24h")["conversations"] == 1500
        assert len(app.get("/replay/kept-1499")) == 6
        assert httpx.get(f"{app.url}/api/v1/replay/gone-0", timeout=60).status_code == 404
    monkeypatch.setenv("SMART_SUPPORT_DATA_DIR", str(data_dir))
    assert audit.main(["verify"]) == 0
