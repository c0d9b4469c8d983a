"""What a task beside a test fails with is raised."""

import asyncio

import httpx
import pytest
import websockets
from websockets.frames import Close

from tests.support.workers import end_workers, is_cut_off


async def _fail(error: Exception) -> None:
    raise error


async def _run_for_ever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "error", [AssertionError("two won"), KeyError("data"), httpx.ReadTimeout(""), TimeoutError()]
)
async def test_a_failed_worker_fails_the_test(error: Exception) -> None:
    workers = [asyncio.create_task(work) for work in (_run_for_ever(), _fail(error), _run_for_ever())]
    await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
    with pytest.raises(type(error)):
        await end_workers(workers, is_cut_off)
    assert all(worker.done() for worker in workers)


@pytest.mark.parametrize(
    "error", [httpx.ReadError(""), ConnectionRefusedError(), websockets.ConnectionClosedError(None, None)]
)
async def test_a_worker_that_a_kill_cuts_off_fails_only_where_no_kill_is_expected(error: Exception) -> None:
    worker = asyncio.create_task(_fail(error))
    await asyncio.wait([worker])
    await end_workers([worker], is_cut_off)
    with pytest.raises(type(error)):
        await end_workers([worker])


def test_a_socket_that_the_app_closes_with_an_error_is_not_cut_off() -> None:
    assert not is_cut_off(websockets.ConnectionClosedError(Close(1011, "internal error"), None))
    assert is_cut_off(websockets.ConnectionClosedOK(Close(1012, ""), None))
