"""Reads of the state database wait for no transaction, and see what is committed and nothing else."""

import asyncio
import threading
from pathlib import Path

import pytest

from smart_support.storage.state.base import Connection
from tests.support.stores import of_files, state_of

COUNT = "SELECT count(*) AS n FROM sessions"
INSERT = """
    INSERT INTO sessions (thread_id, created_at, last_active_at, last_message_at) VALUES (:id, '', '', '')
"""


async def test_a_read_does_not_wait_for_a_transaction_and_sees_only_what_is_committed(tmp_path: Path) -> None:
    state = state_of(tmp_path)
    inside, may_end = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        connection.execute(INSERT, {"id": "t"})
        inside.set()
        may_end.wait(60)

    writing = asyncio.create_task(state.transact(work))
    await asyncio.to_thread(inside.wait, 60)
    async with asyncio.timeout(30):
        assert await state.read(COUNT) == [{"n": 0}]
        assert await asyncio.to_thread(state.read_now, COUNT) == [{"n": 0}]
    assert not writing.done()
    may_end.set()
    await writing
    assert await state.read(COUNT) == [{"n": 1}]
    assert await state.execute(f"{INSERT} RETURNING thread_id", {"id": "u"}) == [{"thread_id": "u"}]
    assert state.read_now(COUNT) == [{"n": 2}]
    state.close()


@of_files
async def test_a_read_can_not_write(tmp_path: Path) -> None:
    state = state_of(tmp_path)
    with pytest.raises(Exception, match="readonly"):
        await state.read(INSERT, {"id": "t"})
    assert await state.read(COUNT) == [{"n": 0}]
    state.close()
