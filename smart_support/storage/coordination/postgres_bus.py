"""The bus of processes that share a Postgres: LISTEN and NOTIFY."""

import asyncio
from typing import Any

import orjson
import psycopg

from smart_support.concurrency import end_tasks
from smart_support.observability.log import get_logger
from smart_support.storage.coordination.bus import MISSED, Bus

log = get_logger()

CHANNEL = "smart_support"
# Postgres takes payloads below 8,000 bytes.
MAX_BYTES = 7_900
SECONDS_BEFORE_AGAIN = 0.5
_NOTIFY = "SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload"


class PostgresBus(Bus):
    """Two connections of its own: one listens, one speaks."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._unsaid: asyncio.Queue[str | None] = asyncio.Queue()
        self._listening = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def alone(self) -> bool:
        return False

    async def open(self) -> "PostgresBus":
        """Return once it listens."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._speak())]
        await self._listening.wait()
        return self

    def say(self, topic: str, **what: Any) -> None:
        payload = self.worded(topic, what)
        if len(payload.encode()) <= MAX_BYTES:
            self._unsaid.put_nowait(payload)

    def worded(self, topic: str, what: dict[str, Any]) -> str:
        """The payload by which this process says it; for statements that say it as they commit."""
        return orjson.dumps({"topic": topic, "by": self.name, **what}).decode()

    async def close(self) -> None:
        self._unsaid.put_nowait(None)
        listening, speaking = self._tasks
        await asyncio.wait([speaking], timeout=5)
        await end_tasks(listening, speaking)

    async def _listen(self) -> None:
        while True:
            try:
                async with await self._connected() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    if self._listening.is_set():
                        self._tell(MISSED, {})
                    self._listening.set()
                    async for notify in connection.notifies():
                        self._hear(notify.payload)
            except (psycopg.Error, OSError) as error:
                log.error("bus_lost", error=repr(error))
                await asyncio.sleep(SECONDS_BEFORE_AGAIN)

    async def _speak(self) -> None:
        unsaid: list[str | None] = []
        while None not in unsaid:
            try:
                async with await self._connected() as connection:
                    while None not in unsaid:
                        unsaid += [await self._unsaid.get()]
                        # What was said while the last was on its way goes together.
                        unsaid += [self._unsaid.get_nowait() for _ in range(self._unsaid.qsize())]
                        await connection.execute(_NOTIFY, [CHANNEL, [one for one in unsaid if one]])
                        unsaid = [None] if None in unsaid else []
            except (psycopg.Error, OSError) as error:
                log.error("bus_lost", error=repr(error))
                await asyncio.sleep(SECONDS_BEFORE_AGAIN)

    async def _connected(self) -> "psycopg.AsyncConnection[Any]":
        return await psycopg.AsyncConnection.connect(self._url, autocommit=True)

    def _hear(self, payload: str) -> None:
        what = orjson.loads(payload)
        if what.pop("by") != self.name:
            self._tell(what.pop("topic"), what)
