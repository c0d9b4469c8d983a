"""Who may run a thread's turn: within one process its own lanes say that; among many, shared/locks.py."""

import contextlib
from collections.abc import AsyncIterator, Callable, Collection


class Locks:
    """For one process: there is nobody to keep out."""

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Be the only process with this lock."""
        yield

    async def held(self, names: Collection[str]) -> set[str]:
        """Which of them some other process holds right now."""
        return set()

    def when_lost(self, lost: Callable[[], None]) -> None:
        """Call `lost` when all that this process held may be held by others."""

    async def close(self) -> None:
        """Hold nothing any more."""
