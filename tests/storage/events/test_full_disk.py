"""A disk that is full for a while: what was acknowledged is there, and all goes on once there is room again.

In a process of its own, whose files really can't grow past a limit.
"""

import asyncio
import contextlib
import os
import resource
import signal
import threading
from pathlib import Path

from smart_support.errors import StorageFailed
from smart_support.events import Message, Record
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

    reopen, opened_again = log.file.reopen, threading.Event()

    def reopen_and_tell(path: Path) -> None:
        (folder / "was-given-up").touch()
        reopen(path)
        opened_again.set()

    log.file.reopen = reopen_and_tell  # type: ignore[method-assign]
    _limited(MOST_BYTES)
    with contextlib.suppress(StorageFailed):
        while not (folder / "was-given-up").exists():
            await say(len(kept) + 1)
            await log.query(COUNT)
    _limited(resource.RLIM_INFINITY)
    await say(1000)
    assert await asyncio.to_thread(opened_again.wait, 10)
    assert len(await log.read("t")) == len(kept)
    assert await log.query(COUNT) == [{"n": len(kept), "ids": len(kept)}]
    log.close()
    log = EmbeddedEventStore(folder / "events.duckdb")
    assert [one.seq for one in await log.read("t")] == kept
    log.close()
    (folder / "went-on").touch()


def _run(folder: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    asyncio.run(_filled_up(folder))


def test_all_goes_on_when_a_full_disk_has_room_again(tmp_path: Path) -> None:
    child = FORKING.Process(target=_run, args=(tmp_path,), daemon=True)
    child.start()
    child.join(60)
    assert (tmp_path / "was-given-up").exists()
    assert child.exitcode == 0
    assert (tmp_path / "went-on").exists()
