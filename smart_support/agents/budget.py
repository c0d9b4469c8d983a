"""Limits the model tokens and costs of a conversation and of a day, counted durably call by call.

Where a limit is reached no model is called any more: a human is notified, and the customer is informed. An
approved call still runs, as it needs no model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage

from smart_support import clock
from smart_support.agents.prices import Prices
from smart_support.agents.tool_messages import outcomes_of_writes
from smart_support.observability.log import get_logger
from smart_support.settings import PREFIX, Settings
from smart_support.storage.state.base import Connection, StateDatabase, in_clause
from smart_support.tools.handoff import Escalate

log = get_logger()
_COUNT = """
    INSERT INTO model_use (share, tokens, cost_usd) VALUES (:share, :tokens, :cost)
    ON CONFLICT (share) DO UPDATE
    SET tokens = model_use.tokens + excluded.tokens, cost_usd = model_use.cost_usd + excluded.cost_usd
"""


class BudgetSpent(Exception):
    """A limit is reached, so no model was called. The text says which, for colleagues."""


@dataclass(frozen=True, slots=True)
class _Share:
    """What one conversation, or one day, may use; 0 is no limit."""

    what: str
    tokens: int
    usd: float

    def spent(self, used: Mapping[str, Any]) -> str | None:
        """Which limit is reached, if one is."""
        if 0 < self.tokens <= used["tokens"]:
            return f"The budget of {self.tokens:,} tokens for {self.what} is used up."
        if 0 < self.usd <= used["cost_usd"]:
            return f"The budget of ${self.usd:g} for {self.what} is used up."
        return None


class Budget:
    """Counts what models use and enforces the limits."""

    def __init__(self, settings: Settings, state: StateDatabase, escalate: Escalate, words: str) -> None:
        """
        Args:
            escalate: notifies a human.
            words: the team's message for a customer who is handed over.
        """
        self._state = state
        self._prices = Prices(settings.model_prices)
        self._escalate = escalate
        self._words = words
        self._conversation = _Share(
            "this conversation", settings.budget_tokens_per_conversation, settings.budget_usd_per_conversation
        )
        self._day = _Share("today (UTC)", settings.budget_tokens_per_day, settings.budget_usd_per_day)
        shares = (self._conversation, self._day)
        self._limited = any(share.tokens or share.usd for share in shares)
        self._in_usd = any(share.usd for share in shares)

    async def check(self, thread_id: str) -> None:
        """Raise `BudgetSpent` where no model may be called for this conversation."""
        if not self._limited:
            return
        shares = _shares(thread_id)
        among, given = in_clause("share", shares)
        rows = await self._state.read(f"SELECT * FROM model_use WHERE share IN {among}", given)
        used = {row["share"]: row for row in rows}
        for name, share in zip(shares, (self._conversation, self._day), strict=True):
            if name in used and (spent := share.spent(used[name])):
                raise BudgetSpent(spent)

    async def count(self, thread_id: str, model: str | None, usage: Mapping[str, Any] | None) -> None:
        """Count the tokens of one answer, as its provider reports them, before the answer is used."""
        if not (self._limited and usage):
            return
        tokens = int(usage["input_tokens"]), int(usage["output_tokens"])
        cost = self._prices.cost(model, *tokens)
        if cost is None and self._in_usd:
            log.warning("no_price", model=model, setting=f"{PREFIX}MODEL_PRICES")

        def work(connection: Connection) -> None:
            for share in _shares(thread_id):
                connection.execute(_COUNT, {"share": share, "tokens": sum(tokens), "cost": cost or 0.0})

        # The day's row is locked from its statement to the commit, which follows it.
        await self._state.transact(work, on=())

    async def handed_over(
        self, thread_id: str, agent: str, spent: BudgetSpent, history: Sequence[AnyMessage]
    ) -> AIMessage:
        """Notify a human, and return the message for the customer in place of an answer."""
        conversation, day = _shares(thread_id)
        about = f"budget:{conversation}:{day}"
        delivered = await self._escalate(conversation, str(spent), about, kind="budget")
        text = (
            "I have reached the limit of what I can do by myself here, so a colleague has been told and will "
            f"go on from here. {self._words}"
        )
        return AIMessage(
            "\n\n".join([*outcomes_of_writes(history), text]),
            name=agent,
            id=clock.new_id(),
            additional_kwargs={
                "escalation": {"reason": str(spent), "delivered": delivered, "kind": "budget"}
            },
        )


def _shares(thread_id: str) -> tuple[str, str]:
    return _conversation_of(thread_id), f"day~{clock.now():%Y-%m-%d}"


def _conversation_of(thread_id: str) -> str:
    """The conversation of a side thread (`conversation/side_thread.py`). No other id has a tilde."""
    return thread_id.partition("~")[0]
