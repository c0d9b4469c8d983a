"""What a process has missed is shown later, also where the database fails while it is read."""

import asyncio
import sqlite3
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from smart_support.conversation import cluster_relay
from smart_support.conversation.broadcast import Broadcast
from smart_support.conversation.cluster_relay import EVENTS, ClusterRelay
from smart_support.events import Message, Record
from smart_support.storage.coordination.base import MISSED

HELLO = Record("t", 1, Message(role="customer", content="Hello"), turn_id="1")


class FailingLog:
    """An event log that fails when it is read for the first time."""

    def __init__(self) -> None:
        self.reads = 0

    async def read(self, *_: Any, **__: Any) -> list[Record]:
        self.reads += 1
        if self.reads == 1:
            raise sqlite3.OperationalError("server closed the connection unexpectedly")
        return [HELLO]


class Bus:
    """Delivers what a test sends."""

    name = "here"

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[[dict[str, Any]], None]] = {}

    def subscribe(self, topic: str, handler: Callable[[dict[str, Any]], None]) -> None:
        self.handlers[topic] = handler

    def publish(self, *_: Any, **__: Any) -> None:
        """Nobody else is there."""


@pytest.fixture(autouse=True)
def _without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_relay, "SECONDS_BETWEEN_TRIES", 0)


def _relay(bus: Any, broadcast: Any, log: Any, **parts: Any) -> ClusterRelay:
    def subscribe(_: Any) -> None:
        pass

    watched: Any = SimpleNamespace(subscribe=subscribe, subscribe_to_bindings=subscribe, **parts)
    relay = ClusterRelay(
        bus,
        broadcast,
        log,
        watched,
        watched,
        watched,
        watched,
        parts.get("tools_changed", asyncio.Event().wait),
    )
    relay.open()
    return relay


async def test_events_are_shown_once_the_database_answers() -> None:
    bus, log = Bus(), FailingLog()
    broadcast = Broadcast(log)
    relay = _relay(bus, broadcast, log)
    listener = broadcast.listen("t")
    for _ in range(2):  # the second announcement comes behind the first one
        bus.handlers[EVENTS]({"threads": {"t": (1, 1)}})
    async with asyncio.timeout(30):
        assert (await listener.next()) is HELLO
    assert log.reads >= 2
    await relay.close()


async def test_changes_are_repeated_once_the_database_answers() -> None:
    bus, refreshed, lists = Bus(), asyncio.Event(), 0
    notified: list[str] = []

    async def pending(*_: Any, **__: Any) -> list[str]:
        nonlocal lists
        lists += 1
        if lists == 1:
            raise sqlite3.OperationalError("server closed the connection unexpectedly")
        return ["an approval"]

    async def none(*_: Any) -> list[str]:
        return []

    async def refresh() -> None:
        refreshed.set()

    broadcast = Broadcast(FailingLog())
    relay = _relay(
        bus,
        broadcast,
        FailingLog(),
        list=pending,
        recently_decided=none,
        notify=notified.append,
        refresh=refresh,
        tools_changed=none,
    )
    bus.handlers[MISSED]({})
    async with asyncio.timeout(30):
        await refreshed.wait()
    assert notified == ["an approval"]
    await relay.close()
