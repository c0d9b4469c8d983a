"""Broadcast: nobody sees what is not durable, and who comes late sees all of it once."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_support.conversation.broadcast import Broadcast, Listener
from smart_support.errors import StorageFailed
from smart_support.events import Message, Record, Shown, Token, TokenRecord
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.embedded import EmbeddedEventStore


@pytest.fixture
def event_log(tmp_path: Path) -> Iterator[EventStore]:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    yield log
    log.close()


def _fact(seq: int, text: str = "hello") -> Record:
    return Record("t", seq, Message(role="customer", content=text))


def _token(seq: int) -> TokenRecord:
    return TokenRecord("t", seq, Token(agent="a", content=f"w{seq} "))


def _heard(listener: Listener) -> list[int]:
    return [shown.seq for shown in listener.waiting if shown is not None]


async def test_a_fact_is_shown_when_it_is_durable_and_what_follows_waits(
    event_log: EventStore,
) -> None:
    broadcast = Broadcast(event_log)
    listener = broadcast.listen("t")
    durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    broadcast.publish("t", _token(1))
    assert _heard(listener) == [1]
    broadcast.publish("t", _fact(2), durable)
    broadcast.publish("t", _token(3))
    await asyncio.sleep(0)
    assert _heard(listener) == [1]
    durable.set_result(None)
    await broadcast.settled("t")
    assert _heard(listener) == [1, 2, 3]


async def test_what_can_not_be_made_durable_is_not_shown(event_log: EventStore) -> None:
    broadcast = Broadcast(event_log)
    listener = broadcast.listen("t")
    durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    broadcast.publish("t", _fact(1), durable)
    durable.set_exception(StorageFailed("disk full"))
    with pytest.raises(StorageFailed):
        await broadcast.settled("t")
    assert _heard(listener) == []


@pytest.mark.parametrize("joins_at", range(8))
async def test_whoever_comes_late_sees_everything_once(event_log: EventStore, joins_at: int) -> None:
    broadcast, seen = Broadcast(event_log), []
    listener: Listener | None = None

    async def catch_up() -> None:
        assert listener is not None
        async for shown in broadcast.caught_up("t", 0, listener):
            if shown is None:
                return
            seen.append(shown)

    tasks = []
    shown: list[tuple[Shown, bool]] = [(_fact(1), True), *((_token(seq), False) for seq in range(2, 6))]
    whole = Record("t", 5, Message(role="agent", content="w2 w3 w4 w5 ", agent="a"), first_seq=2)
    shown += [(whole, True), (_fact(6), True)]
    for place, (event, recorded) in enumerate([*shown, (None, False)]):
        if place == joins_at:
            listener = broadcast.listen("t")
            tasks.append(asyncio.create_task(catch_up()))
        broadcast.publish("t", event, event_log.append(event) if recorded else None)  # type: ignore[arg-type]
        await broadcast.settled("t")
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    covered = [seq for one in seen for seq in range(one.first_seq, one.seq + 1)]
    assert covered == list(range(1, 7))


async def test_a_thread_nobody_listens_to_is_forgotten(event_log: EventStore) -> None:
    broadcast = Broadcast(event_log)
    broadcast.publish("t", _fact(1), event_log.append(_fact(1)))
    await broadcast.settled("t")
    listener = broadcast.listen("u")
    broadcast.leave("u", listener)
    assert broadcast.kept_threads == []
