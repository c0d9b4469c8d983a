"""Tasks that have an owner. A cancellation always passes through, and no task outlives its owner."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import anyio

from smart_support.observability.log import get_logger

log = get_logger()


async def run_together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """The results of all, run at the same time, in order.

    Where one raises, the others are cancelled, and its exception is raised as it is. `asyncio.gather` would
    leave them running; where it is cancelled it drops the message by which an anyio scope knows its own.
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
    """Cancel tasks and return once they have ended. What they raise goes to the log."""
    for task in tasks:
        task.cancel()
    await wait_for_end(*tasks)


async def wait_for_end(*tasks: "asyncio.Task[Any]") -> None:
    """Return once tasks have ended, also where an anyio scope is cancelled meanwhile.

    What they raise goes to the log.
    """
    if tasks:
        with anyio.CancelScope(shield=True):
            await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            log.error("background_task_failed", error=repr(error), exc_info=error)


@contextlib.asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have `work` run meanwhile, and cancel it at the end. Its failure does not end the owner."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await end_tasks(task)


def _first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first
