"""A disk that is full for a while: what was acknowledged is there, and all goes on once there is room again.

In a process of its own, whose files really can't grow past a limit.
"""

import asyncio
import contextlib
import os
import resource
import signal
from pathlib import Path

from smart_support.errors import StorageFailed
from smart_support.events import Message, Record
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.embedded import EmbeddedEventStore
from tests.support.harness import FORKING

# So that a checkpoint meets it, and not the journal, whose file stays smaller.
MOST_BYTES = 5_000_000
COUNT = "SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM events"


def _limited(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


async def _filled_up(folder: Path) -> None:
    log, kept = EmbeddedEventStore(folder / "events.duckdb"), list[int]()

    async def say(seq: int) -> None:
        content = os.urandom(100_000).hex()
        await log.append(Record("t", seq, Message(role="customer", content=content)))
        kept.append(seq)

    reopen = log._file._reopen

    def noted(path: Path) -> None:
        (folder / "was-given-up").touch()
        reopen(path)

    log._file._reopen = noted  # type: ignore[method-assign]
    _limited(MOST_BYTES)
    with contextlib.suppress(StorageFailed):
        while not (folder / "was-given-up").exists():
            await say(len(kept) + 1)
            await log.query(COUNT)
    _limited(resource.RLIM_INFINITY)
    await say(1000)
    async with asyncio.timeout(10):
        while len(await _read(log)) < len(kept):  # noqa: ASYNC110  (nothing tells that it is tried again)
            await asyncio.sleep(0.05)
    assert await log.query(COUNT) == [{"n": len(kept), "ids": len(kept)}]
    log.close()
    log = EmbeddedEventStore(folder / "events.duckdb")
    assert [one.seq for one in await log.read("t")] == kept
    log.close()
    (folder / "went-on").touch()


async def _read(log: EventStore) -> list[Record]:
    try:
        return await log.read("t")
    except Exception:
        return []


def _run(folder: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    asyncio.run(_filled_up(folder))


def test_all_goes_on_when_a_full_disk_has_room_again(tmp_path: Path) -> None:
    child = FORKING.Process(target=_run, args=(tmp_path,), daemon=True)
    child.start()
    child.join(60)
    assert (tmp_path / "was-given-up").exists()
    assert (tmp_path / "went-on").exists()
