"""Ceilings: how many calls, or how much money, a policy rule lets run without approval.

A place under a ceiling is taken in the transaction that grants the call, so that two turns can't both take
the last one. It is given back only if the call was never begun. A call over a ceiling needs approval.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from smart_support import clock
from smart_support.storage.state.base import Connection

# Of a rule that says nothing of its own.
MAX_PER_CONVERSATION = 3
DAY = timedelta(hours=24)
_OTHERS = "rule = :rule AND NOT (thread_id = :thread_id AND tool_call_id = :tool_call_id)"
_IN_CONVERSATION = f"SELECT COUNT(*) AS number FROM policy_runs WHERE {_OTHERS} AND thread_id = :thread_id"
_IN_DAY = f"SELECT COALESCE(SUM(amount), 0) AS total FROM policy_runs WHERE {_OTHERS} AND at > :since"
_TAKE = """
    INSERT INTO policy_runs (rule, thread_id, tool_call_id, amount, at)
    VALUES (:rule, :thread_id, :tool_call_id, :amount, :now)
    ON CONFLICT (rule, thread_id, tool_call_id) DO UPDATE SET amount = :amount
"""


class CeilingReached(Exception):
    """A call that a rule would let run exceeds a ceiling. `why`: a sentence for the card."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How much one rule lets run without approval.

    Attributes:
        rule: the key of the rule; stable over restarts as long as its tool and condition stay the same.
        max_per_conversation: calls in one conversation; None where only the money is limited.
        field: the argument or fact with a limit on its sum over the last 24 hours, or None.
        limit: the most that sum may be, in the field's own unit (of `amount_cents`: cents).
    """

    rule: str
    max_per_conversation: int | None = None
    field: str | None = None
    limit: float = 0

    def amount(self, facts: Mapping[str, Any]) -> float | None:
        """What a call adds to the sum; None where that is unknown or negative."""
        value = facts.get(self.field) if self.field else 0
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return value if math.isfinite(value) and value >= 0 else None

    def reason_to_ask(self, in_conversation: int, in_day: float, facts: Mapping[str, Any]) -> str | None:
        """Why a call needs approval, or None where it is within the ceiling.

        Args:
            in_conversation: how many other calls ran under the rule in this conversation.
            in_day: the sum of `field` over its other calls of the last 24 hours, in all conversations.
            facts: the call's arguments and facts.
        """
        if self.max_per_conversation is not None and in_conversation >= self.max_per_conversation:
            return f"More than {self.max_per_conversation} in this conversation."
        amount = self.amount(facts)
        if amount is None:
            return f"{self.field} of this call is not known, so its daily limit can't be checked."
        if self.field and in_day + amount > self.limit:
            return f"More than {self.limit:,.10g} of {self.field} in 24 hours."
        return None


def take_places(
    connection: Connection,
    ceilings: Iterable[Ceiling],
    *,
    thread_id: str,
    tool_call_id: str,
    facts: Mapping[str, Any],
) -> None:
    """Count a call under every ceiling; one that is already counted keeps its places if they are still free.

    Args:
        connection: of the transaction that grants the call, or that rechecks it before it runs.

    Raises:
        CeilingReached: it exceeds one of them; the transaction must be rolled back.
    """
    now = clock.now()
    call = {"thread_id": thread_id, "tool_call_id": tool_call_id}
    for ceiling in ceilings:
        key = call | {"rule": ceiling.rule}
        number = int(connection.execute(_IN_CONVERSATION, key)[0]["number"])
        total = connection.execute(_IN_DAY, key | {"since": clock.rfc3339(now - DAY)})[0]["total"]
        if why := ceiling.reason_to_ask(number, float(total), facts):
            raise CeilingReached(why)
        connection.execute(_TAKE, key | {"amount": ceiling.amount(facts), "now": clock.rfc3339(now)})


def give_places_back(connection: Connection, thread_id: str, tool_call_id: str) -> None:
    """Stop counting a call that was granted and never begun."""
    connection.execute(
        "DELETE FROM policy_runs WHERE thread_id = :thread_id AND tool_call_id = :tool_call_id",
        {"thread_id": thread_id, "tool_call_id": tool_call_id},
    )


class Tally:
    """Counts the calls of a dry run under ceilings, in order of time."""

    def __init__(self) -> None:
        self._calls: dict[str, list[tuple[str, str, float]]] = {}

    def reason_to_ask(
        self, ceilings: Iterable[Ceiling], thread_id: str, at: str, facts: Mapping[str, Any]
    ) -> str | None:
        """Why the next call would need approval; None where it would run, and then it is counted."""
        among = tuple(ceilings)
        since = clock.rfc3339(clock.parse(at) - DAY)
        for ceiling in among:
            calls = self._calls.get(ceiling.rule, [])
            number = sum(thread == thread_id for thread, _, _ in calls)
            total = sum(amount for _, when, amount in calls if when > since)
            if why := ceiling.reason_to_ask(number, total, facts):
                return why
        for ceiling in among:
            self._calls.setdefault(ceiling.rule, []).append((thread_id, at, ceiling.amount(facts) or 0))
        return None
