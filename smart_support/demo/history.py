"""Generates thirty days of conversations of the demo shop, to fill the analytics and replay tabs.

They consist of the same events as real ones, written through the event store. Thread ids start with `PREFIX`,
so that they can be deleted. Their approvals are events only: nobody can decide them.
"""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import orjson

from smart_support import clock
from smart_support.events import (
    Clarification,
    Decision,
    Escalation,
    Event,
    Failure,
    Interrupt,
    Message,
    MessageComplete,
    Outcome,
    Record,
    Route,
    ToolCall,
    ToolResult,
)
from smart_support.money import format_money
from smart_support.storage.events.base import EventStore

PREFIX = "demo-history-"
DAYS = 30
PER_DAY = 26  # conversations on a working day at the end of the period; there are fewer at its start
RETURNING = 0.12  # share of conversations with a customer who wrote before
BATCH = 2_000
_CHANNELS = ("console", "socket", "rest", "gradio")
_HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 18, 15, 17, 19, 18, 15, 12, 10, 9, 7, 5, 3, 2)
# Each lead's share of decisions and median seconds for one. One of them is too quick to read the cards.
_LEADS = {"dana": (5, 55.0), "robin": (3, 140.0), "sam": (2, 2.2)}

Order = dict[str, Any]


class _Thread:
    """One conversation that is being generated."""

    def __init__(self, number: int, at: datetime, order: Order, rng: random.Random) -> None:
        self.records: list[Record] = []
        self.order = order
        self.rng = rng
        self._id, self._at = f"{PREFIX}{number:05}", at
        self._channel = rng.choices(_CHANNELS, (6, 3, 2, 1))[0]
        self._turn = clock.new_id()
        self._calls = 0

    def add(self, event: Event, seconds: float, covers: int = 1) -> None:
        """Add an event, `seconds` after the last one."""
        self._at += timedelta(seconds=seconds)
        seq = (self.records[-1].seq if self.records else 0) + covers
        self.records.append(
            Record(
                self._id,
                seq,
                event,
                first_seq=seq - covers + 1,
                turn_id=self._turn,
                channel=self._channel,
                customer_id=str(self.order["customer_id"]),
                happened_at=self._at,
            )
        )

    def customer_says(self, words: str, agent: str, *, after: float = 0) -> None:
        """Start a turn with a customer's message, routed to `agent`."""
        self._turn = clock.new_id()
        self.add(Message(role="customer", content=words, message_id=clock.new_id()), after)
        self.add(
            Route(targets=[{"agent": agent, "request": words}], reason="Matched by agent description"), 0.3
        )

    def choose(self, *phrases: str) -> str:
        """Choose one of several phrases."""
        return self.rng.choice(phrases).format(order_id=self.order["order_id"])

    def call(self, tool: str, agent: str, **args: Any) -> str:
        """Add a tool call and return its id."""
        self._calls += 1
        call_id = f"call_{self._id}_{self._calls}"
        self.add(ToolCall(agent=agent, tool=tool, args=args, tool_call_id=call_id), 0.5)
        return call_id

    def result(self, tool: str, agent: str, call_id: str, content: str, **more: Any) -> None:
        """Add the result of a tool call."""
        spent = round(self.rng.lognormvariate(4, 0.6), 1)
        how: dict[str, Any] = {"status": "ok", "duration_ms": spent, **more}
        self.add(
            ToolResult(agent=agent, tool=tool, tool_call_id=call_id, content=content, **how), spent / 1000
        )

    def agent_says(self, words: str, agent: str) -> None:
        """End the turn with an agent's message."""
        tokens = len(words.split())
        self.add(Message(role="agent", content=words, agent=agent, message_id=clock.new_id()), 0.8, tokens)
        first = self.rng.lognormvariate(6, 0.35)
        usage = {
            "input_tokens": self.rng.randint(350, 1500),
            "output_tokens": tokens + 30,
            "cost_usd": None,
        }
        spent = first + tokens * self.rng.uniform(15, 35)
        self.add(
            MessageComplete(
                usage=usage, duration_ms=round(spent, 1), first_token_ms=round(first, 1), model="demo"
            ),
            0.05,
        )

    def request_approval(self, tool: str, agent: str, summary: str, done: str, **args: Any) -> None:
        """Add a write that waits for approval, its decision, and the rest of the turn."""
        call_id, approval_id = self.call(tool, agent, **args), f"{self._id}-{self._calls}"
        expires = clock.rfc3339(self._at + timedelta(minutes=30))
        self.add(
            Interrupt(
                interrupt_id=approval_id,
                approval_id=approval_id,
                action=tool,
                args=args,
                agent=agent,
                expires_at=expires,
                summary=summary,
            ),
            0.2,
        )
        self._turn = clock.new_id()
        outcomes: tuple[Outcome, ...] = ("approved", "rejected", "edited", "expired")
        outcome = self.rng.choices(outcomes, (80, 10, 4, 6))[0]
        lead = self.rng.choices(list(_LEADS), [often for often, _ in _LEADS.values()])[0]
        waited = 1800 if outcome == "expired" else _LEADS[lead][1] * self.rng.lognormvariate(0, 0.7)
        reason = "The parcel has been handed over." if outcome == "rejected" else None
        by = "system" if outcome == "expired" else lead
        self.add(
            Decision(approval_id=approval_id, outcome=outcome, decided_by=by, reason=reason, args=None),
            waited,
        )
        self._finish_request(tool, agent, call_id, outcome, reason, done)

    def _finish_request(
        self, tool: str, agent: str, call_id: str, outcome: Outcome, reason: str | None, done: str
    ) -> None:
        if outcome in ("rejected", "expired"):
            words = f"A colleague rejected this. {reason}" if reason else "Nobody decided in time."
            status: Literal["rejected", "expired"] = "rejected" if outcome == "rejected" else "expired"
            self.result(tool, agent, call_id, words, status=status, duration_ms=None)
            self.agent_says(f"{words} Should I request it again?", agent)
        elif self.rng.random() < 0.02:
            words = "The payment service is unavailable; please try again later."
            self.result(tool, agent, call_id, words, status="error", error_class="transient")
            self.agent_says(words, agent)
        else:
            self.result(tool, agent, call_id, orjson.dumps({"message": done}).decode())
            self.agent_says(done, agent)


def _looked_up(thread: _Thread) -> None:
    order = thread.order
    words = thread.choose(
        "Where is my order {order_id}?",
        "Hi, what is the status of {order_id}?",
        "I ordered last week, number {order_id}. Has it been sent?",
    )
    thread.customer_says(words, "order_lookup")
    call_id = thread.call("get_order_status", "order_lookup", order_id=order["order_id"])
    if thread.rng.random() < 0.04:
        words = f"There is no order {order['order_id']} under this address."
        thread.result(
            "get_order_status", "order_lookup", call_id, words, status="error", error_class="validation"
        )
    else:
        words = f"Order {order['order_id']} is {order['status']}."
        thread.result("get_order_status", "order_lookup", call_id, orjson.dumps({"message": words}).decode())
    thread.agent_says(f"{words} Is there anything else I can do for you?", "order_lookup")


def _tracked(thread: _Thread) -> None:
    order_id = thread.order["order_id"]
    words = thread.choose(
        "Can you track the parcel of {order_id} for me?",
        "The parcel of {order_id} has not come. Where is it?",
    )
    thread.customer_says(words, "order_lookup")
    call_id = thread.call("get_tracking_info", "order_lookup", order_id=order_id)
    words = f"The parcel of order {order_id} left the sorting centre this morning."
    thread.result("get_tracking_info", "order_lookup", call_id, orjson.dumps({"message": words}).decode())
    thread.agent_says(words, "order_lookup")


def _cancelled(thread: _Thread) -> None:
    order = thread.order
    words = thread.choose(
        "Please cancel order {order_id}, I ordered it twice.",
        "I no longer need {order_id}. Can you cancel it?",
        "Cancel order {order_id}, it takes too long.",
    )
    thread.customer_says(words, "order_actions")
    money = format_money(order["total_cents"], "EUR")
    done = f"Order {order['order_id']} is cancelled. {money} will be refunded to your card."
    thread.request_approval(
        "cancel_order", "order_actions", f"Cancel order {order['order_id']}", done, order_id=order["order_id"]
    )


def _refunded(thread: _Thread) -> None:
    order_id, cents = thread.order["order_id"], thread.rng.randint(3, 120) * 100
    money = format_money(cents, "EUR")
    thread.customer_says(f"The lid was broken. Can I have {money} back for {order_id}?", "order_actions")
    args = {"order_id": order_id, "amount_cents": cents, "reason": "arrived broken"}
    done = f"{money} for order {order_id} will be refunded to your card."
    if cents > 2000:
        summary = f"Refund {money} for order {order_id}"
        thread.request_approval("refund_order", "order_actions", summary, done, **args)
        return
    call_id = thread.call("refund_order", "order_actions", **args)
    thread.result(
        "refund_order", "order_actions", call_id, done, policy="Refunds up to €20.00 need no approval."
    )
    thread.agent_says(done, "order_actions")


def _given_a_coupon(thread: _Thread) -> None:
    thread.customer_says("My last parcel was a week late. Could I have something off the next?", "discount")
    done = "Here is a coupon for 10% off your next order."
    thread.request_approval("generate_coupon", "discount", "Generate a coupon for 10%", done, percent=10)


def _moved(thread: _Thread) -> None:
    order_id, address = thread.order["order_id"], "Lindenweg 4, 20095 Hamburg, Germany"
    thread.customer_says(f"I have moved. Send {order_id} to {address} instead.", "order_actions")
    done = f"Order {order_id} will be sent to {address}."
    summary = f"Send order {order_id} to {address}"
    thread.request_approval(
        "update_shipping_address", "order_actions", summary, done, order_id=order_id, new_address=address
    )


def _handed_over(thread: _Thread) -> None:
    words = thread.choose(
        "This is the third time I write. I want to speak to a person.",
        "Can a real person look at {order_id}, please?",
        "Your answers do not help me. Let me talk to somebody.",
    )
    thread.customer_says(words, "fallback")
    call_id = thread.call("escalate_to_human", "fallback", reason="the customer asks for a person")
    words = "A colleague will get back to you shortly."
    thread.result("escalate_to_human", "fallback", call_id, words)
    thread.add(Escalation(reason="the customer asks for a person", delivered=True), 0.1)
    thread.agent_says(words, "fallback")


def _left_open(thread: _Thread) -> None:
    thread.customer_says(
        thread.choose("I want to change something about my order.", "About {order_id}..."), "order_actions"
    )
    question = "What would you like to change?"
    thread.add(Clarification(question=question, options=["The address", "Cancel it"]), 0.6)
    thread.agent_says(question, "order_actions")


def _broken_off(thread: _Thread) -> None:
    thread.customer_says("Hello? Is anybody there?", "fallback")
    thread.add(Failure(code="model_error", message="The language model could not answer."), 4)


def _looked_up_twice(thread: _Thread) -> None:
    _looked_up(thread)
    thread.customer_says("And when will it be here?", "order_lookup", after=thread.rng.uniform(20, 200))
    thread.agent_says("It should be with you within two working days.", "order_lookup")


_KINDS: tuple[tuple[Callable[[_Thread], None], int], ...] = (
    *((_looked_up, 34), (_looked_up_twice, 12), (_tracked, 12), (_cancelled, 11), (_refunded, 12)),
    *((_given_a_coupon, 5), (_moved, 4), (_handed_over, 5), (_left_open, 4), (_broken_off, 1)),
)


def generate(shop: Path, until: datetime, *, seed: int = 7) -> list[Record]:
    """Generate the events of the days before `until`, in order of time.

    Args:
        shop: the folder of the demo shop's data.
    """
    rng = random.Random(seed)
    orders = orjson.loads((shop / "orders.json").read_bytes())
    kinds, weights = zip(*_KINDS, strict=True)
    records: list[Record] = []
    customers: list[str] = []
    for number, at in enumerate(_start_times(until, rng)):
        again = customers and rng.random() < RETURNING
        customers.append(rng.choice(customers[-150:]) if again else f"C-{4000 + number}")
        order = rng.choice(orders) | {"customer_id": customers[-1]}
        thread = _Thread(number, at, order, rng)
        rng.choices(kinds, weights)[0](thread)
        records += thread.records
    return sorted((one for one in records if one.happened_at < until), key=lambda one: one.happened_at)


def _start_times(until: datetime, rng: random.Random) -> Iterator[datetime]:
    """The times at which conversations start: fewer at night and at weekends, more from week to week."""
    for back in range(DAYS, -1, -1):
        day = (until - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        busy = (0.45 if day.weekday() >= 5 else 1) * (0.6 + 0.4 * (DAYS - back) / DAYS)
        for _ in range(round(PER_DAY * busy * rng.uniform(0.85, 1.15))):
            hour = rng.choices(range(24), _HOURS)[0]
            at = day + timedelta(hours=hour, seconds=rng.uniform(0, 3600))
            if at < until:
                yield at


async def write(event_log: EventStore, shop: Path) -> int:
    """Replace the demo history by a new one up to now, and return how many conversations it has."""
    await event_log.erase(await threads(event_log))
    records = generate(shop, clock.now())
    for start in range(0, len(records), BATCH):
        # Append the whole batch before waiting for the first record, so that it is one commit.
        for durable in [event_log.append(one) for one in records[start : start + BATCH]]:
            await durable
    return len({record.thread_id for record in records})


async def threads(event_log: EventStore) -> list[str]:
    """The ids of the generated conversations in the event store."""
    rows = await event_log.query(
        "SELECT thread_id FROM events WHERE first_seq = 1 AND starts_with(thread_id, $prefix)",
        {"prefix": PREFIX},
    )
    return [str(row["thread_id"]) for row in rows]
