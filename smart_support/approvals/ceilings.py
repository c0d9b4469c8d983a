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
_BY_CALLER = f"""
    SELECT COUNT(*) AS number FROM policy_runs
    WHERE {_OTHERS} AND caller = :caller AND COALESCE(customer_id, '') = :customer_id AND at > :since
"""
_IN_DAY = f"SELECT COALESCE(SUM(amount), 0) AS total FROM policy_runs WHERE {_OTHERS} AND at > :since"
_TAKE = """
    INSERT INTO policy_runs (rule, thread_id, tool_call_id, amount, at, caller, customer_id)
    VALUES (:rule, :thread_id, :tool_call_id, :amount, :now, :caller, :customer_id)
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
        is_default: the rule says nothing of its own. The calls of an API client, which chooses its
            conversations itself, are then counted for each customer in 24 hours instead.
    """

    rule: str
    max_per_conversation: int | None = None
    field: str | None = None
    limit: float = 0
    is_default: bool = False

    def is_by_customer(self, caller: str | None) -> bool:
        """Whether the calls of a caller are counted by customer and not by conversation."""
        return self.is_default and caller is not None

    def amount(self, facts: Mapping[str, Any]) -> float | None:
        """What a call adds to the sum; None where that is unknown or negative."""
        value = facts.get(self.field) if self.field else 0
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return value if math.isfinite(value) and value >= 0 else None

    def reason_to_ask(
        self, number: int, in_day: float, facts: Mapping[str, Any], caller: str | None = None
    ) -> str | None:
        """Why a call needs approval, or None where it is within the ceiling.

        Args:
            number: how many other calls ran under the rule in this conversation, or by this caller for this
                customer in 24 hours; see `is_by_customer`.
            in_day: the sum of `field` over its other calls of the last 24 hours, in all conversations.
            facts: the call's arguments and facts.
        """
        if self.max_per_conversation is not None and number >= self.max_per_conversation:
            if self.is_by_customer(caller):
                return f"More than {self.max_per_conversation} by {caller} for this customer in 24 hours."
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
    caller: str | None = None,
    customer_id: str | None = None,
) -> None:
    """Count a call under every ceiling; one that is already counted keeps its places if they are still free.

    Args:
        connection: of the transaction that grants the call, or that rechecks it before it runs.
        caller: the API client that makes the call; None for an agent of ours.

    Raises:
        CeilingReached: it exceeds one of them; the transaction must be rolled back.
    """
    now = clock.now()
    call = {"thread_id": thread_id, "tool_call_id": tool_call_id}
    for ceiling in ceilings:
        key = call | {"rule": ceiling.rule}
        since = {"since": clock.rfc3339(now - DAY)}
        if ceiling.is_by_customer(caller):
            of_caller = {"caller": caller, "customer_id": customer_id or ""}
            number = int(connection.execute(_BY_CALLER, key | since | of_caller)[0]["number"])
        else:
            number = int(connection.execute(_IN_CONVERSATION, key)[0]["number"])
        total = connection.execute(_IN_DAY, key | since)[0]["total"]
        if why := ceiling.reason_to_ask(number, float(total), facts, caller):
            raise CeilingReached(why)
        taken = {"amount": ceiling.amount(facts), "now": clock.rfc3339(now)}
        connection.execute(_TAKE, key | taken | {"caller": caller, "customer_id": customer_id})


def give_places_back(connection: Connection, thread_id: str, tool_call_id: str) -> None:
    """Stop counting a call that was granted and never begun."""
    connection.execute(
        "DELETE FROM policy_runs WHERE thread_id = :thread_id AND tool_call_id = :tool_call_id",
        {"thread_id": thread_id, "tool_call_id": tool_call_id},
    )


@dataclass(frozen=True, slots=True)
class _Run:
    thread_id: str
    at: str
    amount: float
    caller: str | None
    customer_id: str | None


class Tally:
    """Counts the calls of a dry run under ceilings, in order of time."""

    def __init__(self) -> None:
        self._calls: dict[str, list[_Run]] = {}

    def reason_to_ask(
        self,
        ceilings: Iterable[Ceiling],
        thread_id: str,
        at: str,
        facts: Mapping[str, Any],
        *,
        caller: str | None = None,
        customer_id: str | None = None,
    ) -> str | None:
        """Why the next call would need approval; None where it would run, and then it is counted."""
        among = tuple(ceilings)
        since = clock.rfc3339(clock.parse(at) - DAY)
        for ceiling in among:
            calls = self._calls.get(ceiling.rule, [])
            number = sum(one.thread_id == thread_id for one in calls)
            if ceiling.is_by_customer(caller):
                pair = (caller, customer_id)
                number = sum((one.caller, one.customer_id) == pair and one.at > since for one in calls)
            total = sum(one.amount for one in calls if one.at > since)
            if why := ceiling.reason_to_ask(number, total, facts, caller):
                return why
        for ceiling in among:
            run = _Run(thread_id, at, ceiling.amount(facts) or 0, caller, customer_id)
            self._calls.setdefault(ceiling.rule, []).append(run)
        return None
