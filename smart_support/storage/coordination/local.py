"""Bus and locks for a system of one process: there is nobody to notify and nobody to exclude."""

import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

from smart_support.storage.coordination.base import Bus, Locks


class LocalBus(Bus):
    """Drops every message."""

    is_single_process = True

    def publish(self, topic: str, **fields: Any) -> None:
        return

    async def close(self) -> None:
        return


class LocalLocks(Locks):
    """Every lock is free."""

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        yield

    async def held(self, names: Collection[str]) -> set[str]:
        return set()

    def when_lost(self, callback: Callable[[], None]) -> None:
        return

    async def close(self) -> None:
        return
