"""Tasks that run beside a test: what one of them fails with is raised, and never dropped."""

import asyncio
from collections.abc import Callable, Iterable

import httpx
import websockets
from websockets.frames import CloseCode


def is_cut_off(error: BaseException) -> bool:
    """Whether an error is what a client sees when the process ends that it talks to.

    A time-out is not: a process that has ended refuses a connection at once.
    """
    if isinstance(error, websockets.ConnectionClosed):
        return error.rcvd is None or error.rcvd.code in (CloseCode.GOING_AWAY, CloseCode.SERVICE_RESTART)
    if isinstance(error, httpx.TransportError):
        return not isinstance(error, httpx.TimeoutException)
    # What httpx raises once a test has closed its client with the process.
    if isinstance(error, RuntimeError) and "client has been closed" in str(error):
        return True
    # `InvalidMessage`: the connection ends within the handshake.
    return isinstance(error, websockets.InvalidMessage | ConnectionError)


def _is_never_expected(error: BaseException) -> bool:
    return False


async def end_workers(
    workers: Iterable["asyncio.Task[None]"],
    is_expected: Callable[[BaseException], bool] = _is_never_expected,
) -> None:
    """Cancel tasks that run for ever, and wait until they have ended.

    Raises:
        BaseException: the first thing that one of them failed with, where it is not expected.
    """
    tasks = [*workers]
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(ended, BaseException) or isinstance(ended, asyncio.CancelledError):
            continue
        if not is_expected(ended):
            raise ended
