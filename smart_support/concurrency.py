"""Helpers for structured concurrency: no task outlives its owner, and every cancellation passes through."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any, TypeVar

import anyio

from smart_support.observability.log import get_logger

log = get_logger()
T = TypeVar("T")
# A request of another task waits for a few slices: it needs several turns of the event loop.
SLICE_SECONDS = 0.005


async def in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield the items, and let other tasks run after each `SLICE_SECONDS` of work on them.

    For thousands of items: working on all of them at once would stop the app for their whole time. A thread
    would not help much, because only one thread at a time runs Python.
    """
    due = time.perf_counter() + SLICE_SECONDS
    for item in items:
        yield item
        if time.perf_counter() > due:
            await asyncio.sleep(0)
            due = time.perf_counter() + SLICE_SECONDS


async def run_together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run coroutines concurrently and return their results, in order.

    If one raises, the others are cancelled and its exception is raised unchanged. `asyncio.gather` would
    leave them running. If cancelled, it would also drop the message by which an anyio scope recognizes its
    own cancellation.
    """
    tasks: list[asyncio.Task[Any]] = []
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(one) for one in work]
    except BaseExceptionGroup as errors:
        failure = _first_of(errors)
    if failure:
        raise failure
    return [task.result() for task in tasks]


async def end_tasks(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks and wait until they have ended. Their exceptions are logged."""
    for task in tasks:
        task.cancel()
    await wait_for_end(*tasks)


async def wait_for_end(*tasks: "asyncio.Task[Any]") -> None:
    """Wait until tasks have ended, even while an anyio scope is cancelled. Their exceptions are logged."""
    if tasks:
        with anyio.CancelScope(shield=True):
            await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            log.error("background_task_failed", error=repr(error), exc_info=error)


@contextlib.asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` inside the context and cancel it at the end. Its failure does not end the owner."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await end_tasks(task)


def _first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first
