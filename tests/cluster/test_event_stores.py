"""Both event stores keep the contract of `EventStore`: on files, and in PostgreSQL for two processes."""

from pathlib import Path

import pytest

from smart_support import clock
from smart_support.events import Record
from smart_support.settings import Settings
from smart_support.storage.events.base import EventStore
from smart_support.storage.state.base import Connection
from smart_support.storage.stores import open_stores
from tests.support.stores import database_url
from tests.support.story import record, resolved

COUNT = "SELECT count(*) AS n FROM events"


def _settings(folder: Path, kind: str) -> Settings:
    return Settings(data_dir=folder, database_url=database_url(folder) if kind == "postgres" else "")


async def _count(store: EventStore) -> int:
    async with store.snapshot() as snapshot:
        counts = [(await snapshot.query(COUNT))[0]["n"] for _ in range(2)]
    assert counts == [(await store.query(COUNT))[0]["n"]] * 2
    return int(counts[0])


@pytest.mark.parametrize("kind", ["files", "postgres"])
async def test_what_is_appended_is_read_queried_and_erased(tmp_path: Path, kind: str) -> None:
    appended: list[Record] = []
    async with open_stores(_settings(tmp_path, kind), appended.append) as stores:
        store = stores.event_log
        await record(store, resolved("t", clock.now()), resolved("u", clock.now()))
        assert (store.waiting, store.lag_seconds) == (0, 0)
        assert sorted({one.thread_id for one in appended}) == ["t", "u"]
        mine = [one for one in appended if one.thread_id == "t"]
        assert [one.wire() for one in await store.read("t")] == [one.wire() for one in mine]
        assert [one.seq for one in await store.read("t", after=2, limit=2)] == [3, 4]
        assert await store.has("t", mine[0].event_id)
        assert not await store.has("u", mine[0].event_id)
        assert await _count(store) == len(appended)
        await store.erase(["t"])
        assert await store.read("t") == []
        assert await _count(store) == len(appended) - len(mine)
        async with store.copying:
            await store.compact()
        assert len(await store.read("u")) == await _count(store)


async def test_a_query_sees_what_another_process_has_appended_and_erased(tmp_path: Path) -> None:
    # In one process, DuckDB would open the same file twice; each store has a folder of its own.
    settings = _settings(tmp_path, "postgres")
    elsewhere = settings.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    async with open_stores(settings) as one, open_stores(elsewhere) as other:
        await record(one.event_log, resolved("t", clock.now()), resolved("u", clock.now()))
        assert await _count(other.event_log) == 12
        await one.event_log.erase(["t"])
        assert await _count(other.event_log) == 6


@pytest.mark.parametrize("kind", ["files", "postgres"])
async def test_a_failed_transaction_changes_nothing(tmp_path: Path, kind: str) -> None:
    insert = "INSERT INTO logins (token_hash, name, expires_at) VALUES ('h', 'kim', 1)"

    def fail(connection: Connection) -> None:
        connection.execute(insert)
        raise ZeroDivisionError

    async with open_stores(_settings(tmp_path, kind)) as stores:
        with pytest.raises(ZeroDivisionError):
            await stores.state.transact(fail)
        assert await stores.state.read("SELECT 1 FROM logins") == []
        await stores.state.execute(insert)
        assert stores.state.read_now("SELECT name FROM logins WHERE name = :name", {"name": "kim"}) == [
            {"name": "kim"}
        ]
