"""The read that shows what a customer has: its arguments, its limits, and its errors."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from smart_support.agents.team import CustomerCard
from smart_support.conversation.customer_cards import MAX_CHARS, CustomerCards
from smart_support.errors import ConfigError, NotFound, SmartSupportError, ToolFailed, ToolRefused
from smart_support.tools.registry import Access, Args, Call, Registry, Tool

CARD = CustomerCard(tool="get_customer")


def _cards(run: Callable[[Args, Call], Awaitable[Any]], **fields: Any) -> CustomerCards:
    usual: dict[str, Any] = {
        "name": "get_customer",
        "description": "Who it is.",
        "schema": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        "access": Access.READ,
    }
    return CustomerCards(Registry([Tool(run=run, **(usual | fields))]), CARD, seconds_at_most=0.05)


async def test_the_tool_gets_the_customer_s_id() -> None:
    async def run(args: Args, call: Call) -> dict[str, Any]:
        assert call.idempotency_key is None
        return {"name": "Maya Chen", "asked": dict(args), "thread": call.thread_id}

    cards = _cards(run)
    assert cards.is_available
    result = {"name": "Maya Chen", "asked": {"id": "C-1"}, "thread": "t"}
    assert await cards.read("C-1", "t") == {"tool": "get_customer", "result": result}


async def _refuses(args: Args, call: Call) -> Any:
    raise ToolRefused("There is no such customer.")


async def _breaks(args: Args, call: Call) -> Any:
    raise RuntimeError("password=secret")


async def _hangs(args: Args, call: Call) -> Any:
    await asyncio.Event().wait()


async def _floods(args: Args, call: Call) -> Any:
    return ["x" * 1000] * (MAX_CHARS // 1000 + 1)


@pytest.mark.parametrize(
    ("run", "error", "words"),
    [
        (_refuses, ToolRefused, "There is no such customer."),
        (_breaks, ToolFailed, "get_customer failed. Try again."),
        (_hangs, ToolFailed, "get_customer did not answer in time. Try again."),
        (_floods, ToolFailed, "at most 64,000 can be shown"),
    ],
)
async def test_each_failure_says_what_happened_and_no_secret(
    run: Callable[[Args, Call], Awaitable[Any]], error: type[SmartSupportError], words: str
) -> None:
    with pytest.raises(error) as raised:
        await _cards(run).read("C-1", "t")
    assert words in raised.value.message
    assert "secret" not in raised.value.message


async def test_a_tool_that_writes_is_never_called() -> None:
    async def run(args: Args, call: Call) -> Any:
        raise AssertionError("called")

    with pytest.raises(ConfigError, match="is not a read"):
        await _cards(run, access=Access.WRITE).read("C-1", "t")


async def test_without_a_tool_there_is_no_card() -> None:
    for cards in (CustomerCards(Registry(), CARD), CustomerCards(Registry(), None)):
        assert not cards.is_available
        with pytest.raises(NotFound):
            await cards.read("C-1", "t")
