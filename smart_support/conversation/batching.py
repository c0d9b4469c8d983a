"""Groups a stream of items into batches, for channels where each step is expensive."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

from smart_support.concurrency import end_tasks

T = TypeVar("T")


async def batches(items: AsyncIterator[list[T]], seconds: float) -> AsyncGenerator[list[T]]:
    """Join lists of items: the first comes at once, the others at most once every `seconds`.

    An exception of `items` is raised here, after the items that came before it.
    """
    loop = asyncio.get_running_loop()
    batch: list[T] = []
    due = 0.0
    coming = asyncio.create_task(_next(items))
    try:
        while True:
            await asyncio.wait({coming}, timeout=max(0, due - loop.time()) if batch else None)
            if coming.done():
                if coming.exception() or coming.result() is None:
                    break
                batch += coming.result() or []
                coming = asyncio.create_task(_next(items))
            if batch and loop.time() >= due:
                yield batch
                batch, due = [], loop.time() + seconds
        if batch:
            yield batch
        if error := coming.exception():
            raise error
    finally:
        if not coming.done():
            await end_tasks(coming)


async def _next(items: AsyncIterator[list[T]]) -> list[T] | None:
    """The next list; None when there is none."""
    return await anext(items, None)
