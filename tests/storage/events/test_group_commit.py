"""What shares a commit: what turns say meanwhile; who waits for the end of a turn waits for no more of it."""

import asyncio
from pathlib import Path

import pytest

from smart_support import clock
from smart_support.storage.events import embedded
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.events.group_commit import GroupCommit
from tests.support.story import resolved

FOR_EVER = 60.0


async def test_the_end_of_a_turn_is_durable_at_once_with_all_before_it(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "COMMIT_INTERVAL_SECONDS", FOR_EVER)
    log = EmbeddedEventStore(data_dir / "events.duckdb")
    handed_in = [log.append(record) for record in resolved("t", clock.now()).records]
    # Without the end of a turn they would share a commit with what is said in the next minute.
    await asyncio.wait_for(asyncio.gather(*handed_in), 10)
    assert len(await log.read("t")) == len(handed_in)
    log.close()


async def test_what_is_awaited_close_together_shares_a_commit() -> None:
    commits: list[list[int]] = []
    writer: GroupCommit[int] = GroupCommit(commits.append, "It failed.", 0.5)
    await writer.put(0, urgent=True)
    handed_in = []
    for number in range(1, 21):
        handed_in.append(writer.put(number, urgent=True))
        await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*handed_in), 10)
    writer.close()
    assert commits == [[0], list(range(1, 21))]


async def test_an_item_that_may_wait_shares_the_commit_of_the_next() -> None:
    commits: list[list[int]] = []
    writer: GroupCommit[int] = GroupCommit(commits.append, "It failed.", 0.05)
    waiting = writer.put(1, wait_seconds=FOR_EVER)
    await asyncio.wait({waiting}, timeout=0.2)
    await asyncio.wait_for(asyncio.gather(waiting, writer.put(2)), 10)
    writer.close()
    assert commits == [[1, 2]]
