"""Many small events made into few steps, for doors where each step is dear. Blind to what they say."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def in_steps(items: AsyncIterator[T], seconds: float) -> AsyncGenerator[list[T], None]:
    """Items as they come, in lists: the first at once, the others no more often than every `seconds`.

    What `items` raises is raised here, after what came before it was given.
    """
    loop = asyncio.get_running_loop()
    gathered: list[T] = []
    due = 0.0
    coming: asyncio.Future[T] = asyncio.ensure_future(anext(items))
    try:
        while True:
            await asyncio.wait({coming}, timeout=max(0, due - loop.time()) if gathered else None)
            if coming.done():
                if coming.exception():
                    break
                gathered.append(coming.result())
                coming = asyncio.ensure_future(anext(items))
            if gathered and loop.time() >= due:
                yield gathered
                gathered, due = [], loop.time() + seconds
        if gathered:
            yield gathered
        error = coming.exception()
        if error and not isinstance(error, StopAsyncIteration):
            raise error
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
