"""Gathering: nothing is lost or reordered, errors come after what was before them, the source is closed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from smart_support.conversation.batching import batches


async def _numbers(count: int, closed: list[bool] | None = None) -> AsyncIterator[list[int]]:
    try:
        for number in range(count):
            yield [number]
            await asyncio.sleep(0)
    finally:
        if closed is not None:
            closed.append(True)


async def test_everything_comes_once_in_order_and_in_few_steps() -> None:
    steps = [step async for step in batches(_numbers(500), 0.05)]
    assert [number for step in steps for number in step] == list(range(500))
    assert steps[0] == [0]
    assert len(steps) < 50


async def test_what_came_before_a_pause_does_not_wait_for_its_end() -> None:
    go_on = asyncio.Event()

    async def pausing() -> AsyncIterator[list[str]]:
        yield ["one"]
        yield ["two"]
        await go_on.wait()
        yield ["three"]

    steps = batches(pausing(), 0.01)
    assert await anext(steps) == ["one"]
    assert await asyncio.wait_for(anext(steps), 5) == ["two"]
    go_on.set()
    assert await anext(steps) == ["three"]


async def test_an_error_comes_after_what_was_before_it() -> None:
    async def breaking() -> AsyncIterator[list[int]]:
        yield [1]
        yield [2]
        raise ValueError("broken")

    steps = batches(breaking(), 10)
    assert await anext(steps) == [1]
    assert await anext(steps) == [2]
    with pytest.raises(ValueError, match="broken"):
        await anext(steps)


async def test_nothing_is_no_step() -> None:
    assert [step async for step in batches(_numbers(0), 1)] == []
