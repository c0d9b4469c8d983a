"""A disk that is full for a while: what could not be stored leaves nothing, and all goes on afterwards."""

import asyncio
import contextlib
import resource
import signal
import sqlite3
from pathlib import Path

from smart_support.storage.state.sqlite import SqliteStateDatabase
from tests.support.harness import FORKING

INSERT = """
    INSERT INTO sessions (thread_id, created_at, last_active_at, last_message_at) VALUES (:id, :text, '', '')
"""


async def _filled_up(folder: Path) -> None:
    state = SqliteStateDatabase(folder / "state.sqlite")
    stored = 0
    wal = (folder / "state.sqlite-wal").stat().st_size
    for room in range(wal + 20_000, wal + 120_000, 7_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        with contextlib.suppress(sqlite3.OperationalError):
            while True:
                await state.execute(INSERT, {"id": f"t{stored}", "text": "x" * 10_000})
                stored += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await state.execute(INSERT, {"id": f"t{stored}", "text": "y"})
        stored += 1
    assert await state.read("SELECT count(*) AS n FROM sessions") == [{"n": stored}]
    state.close()
    (folder / "went-on").touch()


def _run(folder: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    asyncio.run(_filled_up(folder))


def test_a_transaction_that_does_not_fit_is_undone(tmp_path: Path) -> None:
    child = FORKING.Process(target=_run, args=(tmp_path,), daemon=True)
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert (tmp_path / "went-on").exists()
