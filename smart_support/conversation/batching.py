"""Many small events made into few steps, for doors where each step is dear. Blind to what they say."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

from smart_support.concurrency import end_tasks

T = TypeVar("T")


async def in_steps(items: AsyncIterator[T], seconds: float) -> AsyncGenerator[list[T], None]:
    """Items as they come, in lists: the first at once, the others no more often than every `seconds`.

    What `items` raises is raised here, after what came before it was given.
    """
    loop = asyncio.get_running_loop()
    gathered: list[T] = []
    due = 0.0
    coming = asyncio.create_task(_next(items))
    try:
        while True:
            await asyncio.wait({coming}, timeout=max(0, due - loop.time()) if gathered else None)
            if coming.done():
                if coming.exception() or coming.result() is None:
                    break
                gathered += coming.result() or []
                coming = asyncio.create_task(_next(items))
            if gathered and loop.time() >= due:
                yield gathered
                gathered, due = [], loop.time() + seconds
        if gathered:
            yield gathered
        if error := coming.exception():
            raise error
    finally:
        if not coming.done():
            await end_tasks(coming)


async def _next(items: AsyncIterator[T]) -> list[T] | None:
    """The next item, in a list; None when there is none."""
    async for item in items:
        return [item]
    return None
