"""The message bus between processes that share a PostgreSQL database: LISTEN and NOTIFY."""

import asyncio
from typing import Any

import orjson
import psycopg

from smart_support.concurrency import end_tasks
from smart_support.observability.log import get_logger
from smart_support.storage.coordination.base import MISSED, Bus

log = get_logger()

CHANNEL = "smart_support"
# PostgreSQL accepts payloads below 8,000 bytes.
MAX_BYTES = 7_900
RECONNECT_SECONDS = 0.5
_NOTIFY = "SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload"


class PostgresBus(Bus):
    """Uses two connections of its own: one listens, one sends."""

    is_single_process = False

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        # `None` ends the sender.
        self._outbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._listening = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> "PostgresBus":
        """Connect. Returns once messages are received."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._send())]
        await self._listening.wait()
        return self

    def publish(self, topic: str, **fields: Any) -> None:
        payload = self.payload(topic, fields)
        if len(payload.encode()) <= MAX_BYTES:
            self._outbox.put_nowait(payload)

    def payload(self, topic: str, fields: dict[str, Any]) -> str:
        """A message in the form in which it is sent, for SQL statements that send it as they commit."""
        return orjson.dumps({"topic": topic, "by": self.name, **fields}).decode()

    async def close(self) -> None:
        self._outbox.put_nowait(None)
        listener, sender = self._tasks
        await asyncio.wait([sender], timeout=5)
        await end_tasks(listener, sender)

    async def _listen(self) -> None:
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    if self._listening.is_set():
                        self._deliver(MISSED, {})
                    self._listening.set()
                    async for notify in connection.notifies():
                        self._receive(notify.payload)
            except (psycopg.Error, OSError) as error:
                log.error("bus_lost", error=repr(error))
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _send(self) -> None:
        batch: list[str | None] = []
        while None not in batch:
            try:
                async with await self._connect() as connection:
                    while None not in batch:
                        batch += [await self._outbox.get()]
                        # Messages that were queued while the last batch was sent go together.
                        batch += [self._outbox.get_nowait() for _ in range(self._outbox.qsize())]
                        await connection.execute(_NOTIFY, [CHANNEL, [one for one in batch if one]])
                        batch = [None] if None in batch else []
            except (psycopg.Error, OSError) as error:
                log.error("bus_lost", error=repr(error))
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _connect(self) -> "psycopg.AsyncConnection[Any]":
        return await psycopg.AsyncConnection.connect(self._url, autocommit=True)

    def _receive(self, payload: str) -> None:
        fields = orjson.loads(payload)
        if fields.pop("by") != self.name:
            self._deliver(fields.pop("topic"), fields)
