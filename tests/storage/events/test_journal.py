"""Events are durable in the journal before they are in the event file: none lost, none twice, none back."""

import asyncio
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_support import clock
from smart_support.analytics.metrics import Metrics
from smart_support.errors import ConfigError
from smart_support.events import Message, MessageComplete, Record
from smart_support.storage.events import duckdb_file, embedded
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.events.journal import NAME
from smart_support.storage.state.base import Row
from tests.support.examples import examples
from tests.support.story import record, resolved

COUNT = "SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM events"


def _killed(folder: Path, into: Path) -> EventStore:
    """The log as a start finds it after a kill now. The text index may be closing: it is made anew."""
    shutil.copytree(folder, into, ignore=shutil.ignore_patterns("*.search*"))
    return EmbeddedEventStore(into / "events.duckdb")


def _said(thread_id: str, seq: int) -> Record:
    return Record(thread_id, seq, Message(role="customer", content=f"{thread_id} said {seq}"))


async def _recorded(log: EventStore, thread_id: str) -> list[tuple[str, str]]:
    return [(one.event_id, one.wire()) for one in await log.read(thread_id)]


class Held:
    """The thread that writes the event file, held at its work."""

    def __init__(self, log: EventStore) -> None:
        self._log, self._release = log, threading.Event()

    async def __aenter__(self) -> None:
        held = threading.Event()

        def hold() -> None:
            held.set()
            self._release.wait(60)

        self._done = self._log.file.run(hold)
        await asyncio.to_thread(held.wait)

    async def __aexit__(self, *_: object) -> None:
        self._release.set()
        await self._done


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once something was asked of the file, events come into it only when something is asked again."""
    monkeypatch.setattr(duckdb_file, "SECONDS_BETWEEN_COMMITS", 3600.0)


async def test_who_appends_or_reads_a_thread_waits_for_no_work_on_the_file(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    async with Held(log):
        await asyncio.wait_for(record(log, resolved("t", clock.now())), 10)
        found = await asyncio.wait_for(log.read("t"), 10)
        told = await _recorded(log, "t")
        assert [one.seq for one in found] == [1, 2, 3, 4, 9, 10]
        assert [one.seq for one in await log.read("t", after=2, limit=3)] == [3, 4, 9]
        assert await log.has("t", found[-1].event_id)
        assert await log.read("u") == []
        # A figure waits, for it counts what was acknowledged.
        counting = asyncio.create_task(log.query(COUNT))
        done, _ = await asyncio.wait([counting], timeout=0.1)
        assert not done
    assert await counting == [{"n": 6, "ids": 6}]
    assert await _recorded(log, "t") == told
    log.close()


async def test_what_a_kill_leaves_in_the_journal_is_in_the_log_after_it(seldom: None, tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "a" / "events.duckdb")
    for number in range(5):
        await record(log, resolved(f"t-{number}", clock.now()))
        if number == 0:
            await log.query(COUNT)
    told = [await _recorded(log, f"t-{number}") for number in range(5)]
    assert log.journal.pending()
    again = _killed(tmp_path / "a", tmp_path / "b")
    assert [await _recorded(again, f"t-{number}") for number in range(5)] == told
    assert await again.query(COUNT) == [{"n": 30, "ids": 30}]
    assert not again.journal.leftover()
    for each in (log, again):
        each.close()


async def test_what_a_kill_leaves_in_both_is_in_the_log_once(seldom: None, tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "a" / "events.duckdb")
    await record(log, resolved("t", clock.now()), resolved("u", clock.now()))
    assert await log.query(COUNT) == [{"n": 12, "ids": 12}]
    assert log.journal.leftover()
    again = _killed(tmp_path / "a", tmp_path / "b")
    assert await again.query(COUNT) == [{"n": 12, "ids": 12}]
    for each in (log, again):
        each.close()


async def test_what_was_erased_does_not_come_back_from_the_journal(seldom: None, tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "a" / "events.duckdb")
    await record(log, resolved("gone", clock.now()), resolved("stays", clock.now()))
    await log.erase(["gone"])
    again = _killed(tmp_path / "a", tmp_path / "b")
    assert await again.read("gone") == []
    assert len(await again.read("stays")) == 6
    await log.compact()
    assert b"gone" not in (tmp_path / "a" / NAME).read_bytes()
    assert b"gone" not in (tmp_path / "a" / f"{NAME}-wal").read_bytes()
    for each in (log, again):
        each.close()


async def test_nobody_waits_for_a_backup_that_reads_the_journal(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    await record(log, resolved("gone", clock.now()))
    with closing(sqlite3.connect(tmp_path / NAME, isolation_level=None)) as backup:
        backup.execute("BEGIN")
        assert backup.execute("SELECT count(*) FROM batches").fetchone() == (1,)
        # SQLite itself would wait for five seconds.
        async with asyncio.timeout(4):
            await log.erase(["gone"])
            await record(log, resolved("stays", clock.now()))
    assert await log.query("SELECT DISTINCT thread_id FROM events") == [{"thread_id": "stays"}]
    log.close()


async def test_an_append_that_the_journal_refuses_raises_and_the_next_one_succeeds(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    await log.append(_said("t", 1))
    log.journal.connection.execute("PRAGMA query_only=ON")
    with pytest.raises(Exception, match="could not be written"):
        await log.append(_said("t", 2))
    log.journal.connection.execute("PRAGMA query_only=OFF")
    await log.append(_said("t", 3))
    assert [one.seq for one in await log.read("t")] == [1, 3]
    log.close()


async def test_what_the_file_refuses_is_kept_and_brought_in_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    with monkeypatch.context() as broken:
        broken.setattr(duckdb_file, "INSERT", "INSERT INTO nowhere{} SELECT ? -- {}")
        await log.append(_said("t", 1))
        with pytest.raises(Exception, match="could not be written"):
            await log.query(COUNT)
        assert len(await log.read("t")) == 1
    assert await log.query(COUNT) == [{"n": 1, "ids": 1}]
    log.close()


async def test_a_row_that_the_file_never_takes_is_kept_apart_and_delays_nothing(
    seldom: None, tmp_path: Path
) -> None:
    log = EmbeddedEventStore(tmp_path / "a" / "events.duckdb")
    before, odd, after = _said("t", 1), _said("odd", 2**63), _said("t", 3)
    odd.event_id = "no-uuid"
    for one in (before, odd, after):
        await log.append(one)
    killed = _killed(tmp_path / "a", tmp_path / "b")
    for each in (log, killed):
        assert await each.query(COUNT) == [{"n": 2, "ids": 2}]
        assert [one.seq for one in await each.read("t")] == [1, 3]
        assert [event_id for event_id, _ in each.journal.refused()] == ["no-uuid"]
        await each.append(_said("t", 4))
        assert await each.query(COUNT) == [{"n": 3, "ids": 3}]
        await each.erase(["odd"])
        assert not each.journal.refused()
        each.close()


async def test_what_failed_and_is_there_all_the_same_is_not_brought_in_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    with monkeypatch.context() as broken:

        def durable_but_failed(*_: object) -> None:
            raise RuntimeError("the commit succeeded, the checkpoint after it failed")

        broken.setattr(log.journal, "mark_done", durable_but_failed)
        await log.append(_said("t", 1))
        with pytest.raises(Exception, match="could not be written"):
            await log.query(COUNT)
    await log.append(_said("t", 2))
    assert await log.query(COUNT) == [{"n": 2, "ids": 2}]
    log.close()


async def test_while_the_file_refuses_no_more_is_taken_than_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MAX_PENDING_ROWS", 20)
    monkeypatch.setattr(embedded, "MAX_ROWS_PER_COMMIT", 3)
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    with monkeypatch.context() as broken:
        broken.setattr(duckdb_file, "INSERT", "INSERT INTO nowhere{} SELECT ? -- {}")
        for seq in range(1, 21):
            await log.append(_said("t", seq))
        with pytest.raises(Exception, match="could not be written"):
            await log.append(_said("t", 21))
    # Nothing is lost, and what comes now waits for the file only as long as that takes.
    await log.append(_said("t", 21))
    assert await log.query(COUNT) == [{"n": 21, "ids": 21}]
    log.close()


async def test_a_read_during_an_erasure_gives_no_half_of_a_thread(
    seldom: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    await log.append(_said("t", 1))
    await log.query(COUNT)
    await log.append(_said("t", 2))
    reading, read = asyncio.Event(), log.file.read
    go_on = asyncio.Event()

    async def late(*args: Any) -> list[Row]:
        reading.set()
        await go_on.wait()
        return await read(*args)

    monkeypatch.setattr(log.file, "read", late)
    told = asyncio.create_task(log.read("t"))
    await reading.wait()
    await log.erase(["t"])
    await log.append(_said("t", 1))
    go_on.set()
    assert [one.seq for one in await told] == [1]
    log.close()


@pytest.mark.parametrize("spoiled", ["the file", "a batch"])
async def test_a_journal_that_cannot_be_read_says_what_to_do(tmp_path: Path, spoiled: str) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    await log.append(_said("t", 1))
    log.close()
    with closing(sqlite3.connect(tmp_path / NAME)) as journal, journal:
        journal.execute("INSERT INTO batches VALUES (7, '[{\"event_id\": ')")
    if spoiled == "the file":
        (tmp_path / NAME).write_bytes(b"no database " * 1000)
    with pytest.raises(ConfigError, match=r"journal\.sqlite can't be read .* move it"):
        EmbeddedEventStore(tmp_path / "events.duckdb")
    (tmp_path / NAME).unlink()
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    assert await log.query(COUNT) == [{"n": 1, "ids": 1}]
    log.close()


@pytest.mark.slow
async def test_the_figures_of_a_dashboard_are_consistent(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    metrics, done = Metrics(log, 0), asyncio.Event()

    async def writing() -> None:
        number = 0
        while not done.is_set():
            number += 1
            await record(log, resolved(f"t-{number}", clock.now()))

    task = asyncio.create_task(writing())
    for _ in range(examples(15)):
        found = await metrics.analytics("24h")
        assert sum(bucket["turns"] for bucket in found["series"]) == sum(m["turns"] for m in found["models"])
        assert sum(bucket["conversations"] for bucket in found["series"]) == found["conversations"]
    done.set()
    await task
    assert found["conversations"] > 3
    log.close()


@pytest.mark.slow
@settings(max_examples=examples(12), deadline=None)
@given(st.lists(st.sampled_from(["say", "end", "ask", "erase", "compact", "kill"]), min_size=4, max_size=25))
def test_the_log_holds_what_was_acknowledged_and_not_erased(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    async def run() -> None:
        folder = tmp_path_factory.mktemp("log")
        path, kept, seq = folder / "log", list[str](), 0
        log = EmbeddedEventStore(path / "events.duckdb")
        for step in steps:
            if step in ("say", "end"):
                seq += 1
                usage = {"input_tokens": 1, "output_tokens": 1, "cost_usd": None}
                ended = Record("t", seq, MessageComplete(usage=usage, duration_ms=1.0))
                said = _said("t", seq) if step == "say" else ended
                await log.append(said)
                kept.append(said.event_id)
            elif step == "ask":
                assert await log.query(COUNT) == [{"n": len(kept), "ids": len(kept)}]
            elif step == "erase":
                await log.erase(["t"])
                kept = []
            elif step == "compact":
                await log.compact()
            else:
                before, log = log, _killed(path, path := path.with_name(f"{path.name}'"))
                before.close()
            assert [one.event_id for one in await log.read("t")] == kept
        log.close()
        shutil.rmtree(folder)

    asyncio.run(run())


async def test_a_commit_that_fails_leaves_no_transaction_open(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    journal, raw = log.journal, log.journal.connection
    # The commit, and nothing before it, finds that a row it needs is not there.
    raw.execute("PRAGMA foreign_keys=ON")
    raw.execute("CREATE TABLE one (id INTEGER PRIMARY KEY)")
    raw.execute("CREATE TABLE other (id REFERENCES one DEFERRABLE INITIALLY DEFERRED)")
    raw.execute("CREATE TRIGGER breaks AFTER INSERT ON batches BEGIN INSERT INTO other VALUES (7); END")
    with pytest.raises(Exception, match="could not be written"):
        await log.append(_said("t", 1))
    assert not journal.pending()
    raw.execute("DROP TRIGGER breaks")
    await log.append(_said("t", 2))
    assert [one.seq for one in await log.read("t")] == [2]
    log.close()


async def test_many_appends_ask_for_one_flush(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    async with Held(log):
        for thread in range(5):
            await record(log, resolved(str(thread), clock.now()))
        assert log.file.waiting == 2  # the work that holds the file, and the flush
    assert await log.query(COUNT) == [{"n": 30, "ids": 30}]
    log.close()
