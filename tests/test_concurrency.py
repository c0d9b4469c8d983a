"""Cancelled at any of its awaits, a helper lets the cancellation out, leaves no task, and hangs nowhere."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest
from langchain_core.messages import AIMessage, HumanMessage

from smart_support import concurrency
from smart_support.agents.model_client import Attempt, ModelRequest, ModelState
from smart_support.agents.models import NamedModel
from smart_support.api.middleware.authentication import serve_while_logged_in
from smart_support.concurrency import end_tasks, in_background, in_slices, run_together
from smart_support.conversation.batching import batches
from tests.support.harness import ScriptedModel

STEPS = 12


async def _pauses(count: int = 5) -> str:
    for _ in range(count):
        await asyncio.sleep(0)
    return "done"


async def _slow_to_end() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await _pauses(3)


async def _together() -> None:
    await run_together(_pauses(), _slow_to_end(), run_together(_pauses(), _slow_to_end()))


async def _background() -> None:
    async with in_background(_slow_to_end()):
        await _pauses(8)


async def _items() -> AsyncIterator[list[int]]:
    for number in range(STEPS):
        await asyncio.sleep(0)
        yield [number]
    await _slow_to_end()


async def _batches() -> None:
    async for _ in batches(_items(), 0):
        await asyncio.sleep(0)


async def _ending() -> None:
    await asyncio.sleep(0)
    await end_tasks(*(asyncio.create_task(_slow_to_end()) for _ in range(3)))
    await asyncio.Event().wait()


class _Logins:
    async def wait_until_ended(self, token: str) -> None:
        await _slow_to_end()


async def _logged_in() -> None:
    async def send(message: Any) -> None:
        await asyncio.sleep(0)

    await serve_while_logged_in(_slow_to_end(), _Logins(), "token", {"type": "websocket"}, send)


async def _model_stream() -> None:
    async def pause(word: str) -> None:
        await _pauses(2)

    model = ScriptedModel(script=lambda *_: AIMessage("one two three four five six"), before_word=pause)
    one = ModelState(NamedModel(model, timeout_seconds=60), 1000)
    await Attempt(one, ModelRequest("t", "prompt", [HumanMessage("hello")], (), None, True)).answer()
    await asyncio.Event().wait()


HELPERS: dict[str, Callable[[], Awaitable[None]]] = {
    "run_together": _together,
    "in_background": _background,
    "batches": _batches,
    "end_tasks": _ending,
    "while logged in": _logged_in,
    "a model's stream": _model_stream,
}


@pytest.mark.parametrize("steps", range(STEPS))
@pytest.mark.parametrize("helper", HELPERS)
async def test_a_cancelled_task_ends_cancelled(helper: str, steps: int) -> None:
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(HELPERS[helper]())
    await _pauses(steps)
    was_done = task.done()
    task.cancel("this one")
    done, _ = await asyncio.wait({task}, timeout=10)
    assert done
    assert task.cancelled() or was_done
    await _pauses(4)
    assert asyncio.all_tasks() - before == set()


@pytest.mark.parametrize("steps", range(STEPS))
@pytest.mark.parametrize("helper", HELPERS)
async def test_a_cancelled_scope_takes_its_own_cancellation_back(helper: str, steps: int) -> None:
    """What `TestClient` and anyio's task groups do: the scope must know the error as its own."""
    before = asyncio.all_tasks()
    ended = False

    async def inside() -> None:
        nonlocal ended
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await HELPERS[helper]()
        ended = True

    scopes: list[anyio.CancelScope] = []
    task = asyncio.create_task(inside())
    await _pauses(steps + 1)
    scopes[0].cancel()
    done, _ = await asyncio.wait({task}, timeout=10)
    assert done
    assert not task.cancelled()
    assert task.exception() is None
    assert ended
    await _pauses(4)
    assert asyncio.all_tasks() - before == set()


async def test_the_first_failure_ends_the_others_and_comes_out_as_it_is() -> None:
    before = asyncio.all_tasks()

    async def broken() -> None:
        await asyncio.sleep(0)
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        await run_together(_slow_to_end(), run_together(_slow_to_end(), broken()))
    assert asyncio.all_tasks() == before


async def test_results_come_in_order() -> None:
    assert await run_together(_pauses(9), asyncio.sleep(0, 2), run_together(asyncio.sleep(0, 3))) == [
        "done",
        2,
        [3],
    ]
    assert await run_together() == []


async def test_background_work_that_fails_leaves_its_owner_alone() -> None:
    async def broken() -> None:
        raise LookupError("broken")

    async with in_background(broken()):
        assert await _pauses() == "done"


async def test_work_in_slices_lets_others_run_between_the_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "SLICE_SECONDS", 0)
    seen = []

    async def other() -> None:
        for _ in range(3):
            seen.append("other")
            await asyncio.sleep(0)

    async with in_background(other()):
        async for item in in_slices([1, 2, 3]):
            seen.append(str(item))

    assert seen == ["1", "other", "2", "other", "3", "other"]
