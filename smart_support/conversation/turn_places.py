"""Limits how many turns run at once. The turns of other connections are not behind those of a busy one."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable

from smart_support.errors import Overloaded


class TurnPlaces:
    """Places for turns. Where all are taken, connections get them in rotation, each for its first turn."""

    def __init__(self, count: int, wait_seconds: float, count_refusal: Callable[[], None]) -> None:
        """
        Args:
            count: how many turns run at once.
            wait_seconds: how long a turn waits for its place.
            count_refusal: called for each turn that gets none.
        """
        self._free = count
        self._wait_seconds = wait_seconds
        self._count_refusal = count_refusal
        # By connection, the next one first. None of them is empty, and there are none while a place is free.
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    @property
    def are_taken(self) -> bool:
        """Whether the next turn has to wait."""
        return self._free == 0

    @property
    def waiting_count(self) -> int:
        """How many turns wait for a place."""
        return sum(map(len, self._waiting.values()))

    @contextlib.asynccontextmanager
    async def hold(self, connection: Hashable, since: float) -> AsyncIterator[None]:
        """Hold a place, once there is one.

        Args:
            since: when the turn began to wait (`time.monotonic`).

        Raises:
            Overloaded: there was none in time.
        """
        if self._free:
            self._free -= 1
        else:
            await self._wait(connection, since + self._wait_seconds - time.monotonic())
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, connection: Hashable, seconds: float) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(connection, deque()).append(place)
        try:
            async with asyncio.timeout(seconds):
                await place
        except BaseException as error:
            if place.cancelled():
                self._leave(connection, place)
            else:
                self._pass_on()
            if isinstance(error, TimeoutError):
                self._count_refusal()
                raise Overloaded from None
            raise

    def _leave(self, connection: Hashable, place: asyncio.Future[None]) -> None:
        places = self._waiting.get(connection)
        if places and place in places:
            places.remove(place)
            if not places:
                del self._waiting[connection]

    def _pass_on(self) -> None:
        """Give a place to the next turn that waits."""
        while self._waiting:
            connection = next(iter(self._waiting))
            places = self._waiting.pop(connection)
            place = places.popleft()
            if places:
                self._waiting[connection] = places
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
