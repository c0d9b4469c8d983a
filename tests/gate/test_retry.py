"""Another try: for what is transient, and only where it is safe."""

import asyncio
from typing import Any

import pytest
from tenacity import RetryCallState, Retrying

from smart_support.errors import ToolFailed, ToolNotReached, ToolRefused, ToolUnavailable
from smart_support.gate.retry import ATTEMPTS, WAIT, attempted
from smart_support.tools.registry import Access, Args, Call, Tool


class _Flaky:
    """Fails some times, then works; remembers the keys."""

    def __init__(self, error: Exception, times: int, *then: Exception) -> None:
        self.errors = [*[error] * times, *then]
        self.keys: list[str | None] = []

    async def run(self, args: Args, call: Call) -> Any:
        self.keys.append(call.idempotency_key)
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def tool(self, access: Access, *, idempotent: bool = False) -> Tool:
        return Tool("flaky", "Fails.", {"type": "object"}, access, self.run, idempotent=idempotent)


CALL = Call("t", "c", "key")
pytestmark = pytest.mark.usefixtures("without_waits")


@pytest.mark.parametrize(("access", "idempotent"), [(Access.READ, False), (Access.WRITE, True)])
async def test_what_is_safe_is_tried_again_with_the_same_key(access: Access, idempotent: bool) -> None:
    flaky = _Flaky(ToolUnavailable("503"), 2)
    assert await attempted(flaky.tool(access, idempotent=idempotent), {}, CALL) == "done"
    assert flaky.keys == ["key"] * 3


async def test_a_write_without_a_key_is_tried_once() -> None:
    flaky = _Flaky(ToolUnavailable("503"), 1)
    with pytest.raises(ToolUnavailable):
        await attempted(flaky.tool(Access.WRITE), {}, CALL)
    assert len(flaky.keys) == 1


async def test_what_was_never_sent_is_tried_again_whatever_the_tool() -> None:
    flaky = _Flaky(ToolNotReached("no connection"), 2)
    assert await attempted(flaky.tool(Access.WRITE), {}, CALL) == "done"
    flaky = _Flaky(ToolNotReached("no connection"), 1, ToolUnavailable("503"))
    with pytest.raises(ToolUnavailable, match="503"):
        await attempted(flaky.tool(Access.WRITE), {}, CALL)
    assert len(flaky.keys) == 2
    flaky = _Flaky(ToolNotReached("no connection"), 99)
    with pytest.raises(ToolNotReached):
        await attempted(flaky.tool(Access.WRITE), {}, CALL)


@pytest.mark.parametrize("later", [ToolNotReached("down by now"), ToolFailed("no token any more")])
async def test_a_try_that_was_sent_stays_in_doubt_whatever_comes_later(later: Exception) -> None:
    flaky = _Flaky(ToolUnavailable("broke off"), 1, later, later)
    with pytest.raises(ToolUnavailable, match="broke off") as told:
        await attempted(flaky.tool(Access.WRITE, idempotent=True), {}, CALL)
    assert not told.value.nothing_done
    said_no = _Flaky(ToolUnavailable("broke off"), 1, ToolRefused("it was done before"))
    with pytest.raises(ToolRefused):
        await attempted(said_no.tool(Access.WRITE, idempotent=True), {}, CALL)


async def test_a_refusal_is_final() -> None:
    flaky = _Flaky(ToolRefused("no"), 1)
    with pytest.raises(ToolRefused):
        await attempted(flaky.tool(Access.READ), {}, CALL)
    assert len(flaky.keys) == 1


def test_waits_grow() -> None:
    state = RetryCallState(Retrying(), None, (), {})
    for least in (0.1, 0.2, 0.4):
        assert least <= WAIT(state) <= 2
        state.attempt_number += 1


async def test_it_gives_up_in_the_end() -> None:
    flaky = _Flaky(ToolUnavailable("503"), 99)
    with pytest.raises(ToolUnavailable):
        await attempted(flaky.tool(Access.READ), {}, CALL)
    assert len(flaky.keys) == ATTEMPTS


async def test_what_takes_too_long_is_cut_off() -> None:
    async def forever(args: Args, call: Call) -> Any:
        await asyncio.Event().wait()

    slow = Tool("slow", "Never ends.", {"type": "object"}, Access.WRITE, forever, timeout_seconds=0.01)
    with pytest.raises(TimeoutError):
        await attempted(slow, {}, CALL)
