"""What a customer has, for people in the inbox: one read that the agents file names, outside of any turn."""

import asyncio
from typing import Any

import orjson

from smart_support import clock
from smart_support.agents.team import CustomerCard
from smart_support.errors import NotFound, SmartSupportError, ToolFailed
from smart_support.gate.retry import attempted
from smart_support.observability.log import get_logger
from smart_support.text import clean_json
from smart_support.tools.registry import Call, Registry

log = get_logger()
SECONDS_AT_MOST = 10.0
MAX_CHARS = 64_000
AT_ONCE = 8


class CustomerCards:
    """Reads what a customer has. Nothing is recorded: it is no call of an agent."""

    def __init__(
        self, registry: Registry, card: CustomerCard | None, seconds_at_most: float = SECONDS_AT_MOST
    ) -> None:
        """`card`: as the agents file has it; None where it has none."""
        self._registry = registry
        self._card = card
        self._seconds_at_most = seconds_at_most
        self._free = asyncio.Semaphore(AT_ONCE)

    @property
    def is_available(self) -> bool:
        """Whether there is a tool to read with."""
        return self._card is not None and self._card.tool in self._registry

    async def read(self, customer_id: str, thread_id: str) -> dict[str, Any]:
        """`tool`, and what it answers for a customer as `result`, at most `MAX_CHARS` characters of JSON.

        Raises:
            NotFound: the agents file names no tool, or one that does not exist now.
            ConfigError: the tool, as it was imported, can't be called with a customer's id.
            ToolRefused: the system refuses the call.
            ToolFailed: the system did not answer in time, failed, or answered with too much.
        """
        tool = self._registry.get(self._card.tool) if self._card else None
        if self._card is None or tool is None:
            raise NotFound("The agents file names no tool for this; see customer_card in docs/agents.md.")
        args = {self._card.argument_of(tool): customer_id}
        tool.check(args)
        call = Call(thread_id, f"card-{clock.new_id()}")
        try:
            async with self._free, asyncio.timeout(self._seconds_at_most):
                result = clean_json(await attempted(tool, args, call))
        except TimeoutError:
            raise ToolFailed(f"{tool.name} did not answer in time. Try again.") from None
        except SmartSupportError:
            raise
        except Exception as error:
            log.error("customer_card_failed", tool=tool.name, error=repr(error))
            raise ToolFailed(f"{tool.name} failed. Try again.") from error
        if (length := len(orjson.dumps(result, default=str))) > MAX_CHARS:
            raise ToolFailed(
                f"{tool.name} answered with {length:,} characters; at most {MAX_CHARS:,} can be shown."
            )
        return {"tool": tool.name, "result": result}
