"""What is erased leaves the file's bytes, while turns go on writing and readers reading."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from smart_support import clock
from smart_support.storage.compaction import file_for
from smart_support.storage.event_log import EventLog
from tests.analytics.story import record, resolved

SECRET = "a-word-nobody-else-says"


def _bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_what_is_erased_leaves_the_bytes_and_the_rest_stays(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.duckdb")
    then = clock.now() - timedelta(hours=1)
    mine = resolved("mine", then).ask(f"My name is {SECRET}")
    await record(log, mine, *(resolved(f"other-{number}", then) for number in range(50)))
    log.close()
    assert SECRET.encode() in _bytes(tmp_path)
    log = EventLog(tmp_path / "events.duckdb")
    await log.erase(["mine"])
    assert await log.read("mine") == []
    await log.compact()
    assert SECRET.encode() not in _bytes(tmp_path)
    assert len(await log.read("other-7")) == 6
    await record(log, resolved("after", clock.now()))
    log.close()
    again = EventLog(tmp_path / "events.duckdb")
    assert len(await again.read("after")) == 6
    again.close()


async def test_nothing_is_lost_that_is_written_or_read_meanwhile(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.duckdb")
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
    for _ in range(3):
        await log.erase([f"old-{_ + 100}"])
        await log.compact()
    done.set()
    await asyncio.gather(*others)
    assert len(written) > 3
    counted = await log.query("SELECT count(DISTINCT thread_id) AS threads FROM events")
    assert counted == [{"threads": 200 - 3 + len(written)}]
    log.close()


async def test_a_copy_that_a_kill_left_behind_is_thrown_away(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.duckdb")
    await record(log, resolved("t", clock.now()))
    log.close()
    file_for(tmp_path / "events.duckdb").write_bytes(b"half a file")
    log = EventLog(tmp_path / "events.duckdb")
    assert len(await log.read("t")) == 6
    await log.compact()
    assert not file_for(tmp_path / "events.duckdb").exists()
    log.close()


async def test_who_asks_too_long_holds_a_compaction_up_and_no_more(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.duckdb")
    endless = asyncio.create_task(log.ask_once("SELECT count(*) FROM range(10000000000000)", 0.3))
    await log.compact()
    with pytest.raises(Exception, match="INTERRUPT"):
        await endless
    await record(log, resolved("t", clock.now()))
    assert len(await log.read("t")) == 6
    log.close()
