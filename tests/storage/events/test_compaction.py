"""What is erased leaves the file's bytes, while turns go on writing and readers reading."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smart_support import clock
from smart_support.storage.events import compaction, duckdb_file
from smart_support.storage.events.compaction import compacting_path
from smart_support.storage.events.embedded import EmbeddedEventStore
from tests.support.examples import IS_NIGHTLY
from tests.support.story import record, resolved

SECRET = "a-word-nobody-else-says"


def _bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_what_is_erased_leaves_the_bytes_and_the_rest_stays(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    then = clock.now() - timedelta(hours=1)
    mine = resolved("mine", then).ask(f"My name is {SECRET}")
    await record(log, mine, *(resolved(f"other-{number}", then) for number in range(50)))
    log.close()
    assert SECRET.encode() in _bytes(tmp_path)
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    await log.erase(["mine"])
    assert await log.read("mine") == []
    await log.compact()
    assert SECRET.encode() not in _bytes(tmp_path)
    assert len(await log.read("other-7")) == 6
    await record(log, resolved("after", clock.now()))
    log.close()
    again = EmbeddedEventStore(tmp_path / "events.duckdb")
    assert len(await again.read("after")) == 6
    again.close()


@pytest.mark.slow
async def test_nothing_is_lost_that_is_written_or_read_meanwhile(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    then = clock.now() - timedelta(hours=1)
    await record(log, *(resolved(f"old-{number}", then) for number in range(200)))
    done = asyncio.Event()
    written: list[str] = []

    async def writing() -> None:
        while not done.is_set():
            written.append(f"new-{len(written)}")
            await record(log, resolved(written[-1], clock.now()))

    async def reading() -> None:
        while not done.is_set():
            assert len(await log.read("old-1")) == 6

    others = [asyncio.create_task(work()) for work in (writing, reading, reading)]
    times = 3 if IS_NIGHTLY else 1
    for number in range(times):
        await log.erase([f"old-{number + 100}"])
        await log.compact()
    done.set()
    await asyncio.gather(*others)
    assert len(written) > times
    counted = await log.query("SELECT count(DISTINCT thread_id) AS threads FROM events")
    assert counted == [{"threads": 200 - times + len(written)}]
    log.close()


async def test_a_copy_that_a_kill_left_behind_is_thrown_away(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    await record(log, resolved("t", clock.now()))
    log.close()
    compacting_path(tmp_path / "events.duckdb").write_bytes(b"half a file")
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    assert len(await log.read("t")) == 6
    await log.compact()
    assert not compacting_path(tmp_path / "events.duckdb").exists()
    log.close()


async def test_a_file_that_is_copied_for_a_question_is_compacted_afterwards(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    await record(log, resolved("before", clock.now()))
    async with log.pause_writes() as path:
        before = path.read_bytes()
        compacting = asyncio.create_task(log.compact())
        appended = asyncio.create_task(record(log, resolved("t", clock.now())))
        await appended  # durable all the same: in the journal
        assert not compacting.done()
        assert path.read_bytes() == before
    await compacting
    assert len(await log.read("t")) == 6
    log.close()


async def test_what_is_erased_during_a_compaction_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the file is copied: one conversation goes, one begins anew under its old number, one goes on."""
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    then = clock.now() - timedelta(hours=1)
    await record(log, *(resolved(name, then) for name in ("gone", "anew", "stays")))
    copying, go_on = threading.Event(), threading.Event()

    def held(cursor: Any) -> None:
        copying.set()
        go_on.wait(60)
        compaction.fill_copy(cursor)

    monkeypatch.setattr(duckdb_file, "fill_copy", held)
    running = asyncio.create_task(log.compact())
    await asyncio.to_thread(copying.wait, 10)
    await record(log, resolved("brief", clock.now()))
    await log.erase(["gone", "anew", "brief"])
    await record(log, resolved("anew", clock.now()), resolved("late", clock.now()))
    await log.summarize()
    go_on.set()
    await running
    counted = await log.query("SELECT thread_id, count(*) AS n FROM events GROUP BY ALL ORDER BY ALL")
    assert {row["thread_id"]: row["n"] for row in counted} == {"anew": 6, "late": 6, "stays": 6}
    # Also where somebody looked at them in the file that was copied.
    summed = await log.summaries.query("SELECT thread_id, turns FROM conversations ORDER BY ALL")
    assert {row["thread_id"]: row["turns"] for row in summed} == {"anew": 1, "late": 1, "stays": 1}
    assert await log.query(
        "SELECT min(happened_at) > $then AS new FROM events WHERE thread_id = 'anew'",
        {"then": then.replace(tzinfo=None) + timedelta(minutes=30)},
    ) == [{"new": True}]
    log.close()
