"""Thirty days of made-up conversations of the demo shop, so that figures and replays are worth a first look.

They are told as real turns tell them, event by event, and written through the real log. Each thread's id says
what it is, so that they can be found and cleared. Nothing of it is an approval that anybody can decide.
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
from smart_support.storage.events.embedded import EventLog

PREFIX = "demo-history-"
DAYS = 30
A_DAY = 26  # conversations on a working day at the end of the time; there were fewer at its beginning
BACK_AGAIN = 0.12  # of the conversations are with somebody who wrote before
AT_ONCE = 2_000
_CHANNELS = ("console", "socket", "rest", "gradio")
_HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 18, 15, 17, 19, 18, 15, 12, 10, 9, 7, 5, 3, 2)
# Who decides: how often, and how many seconds it takes them in the middle. One of them is too quick to read.
_LEADS = {"dana": (5, 55.0), "robin": (3, 140.0), "sam": (2, 2.2)}

Order = dict[str, Any]


class _Thread:
    """One conversation while it is told."""

    def __init__(self, number: int, at: datetime, order: Order, chance: random.Random) -> None:
        self.records: list[Record] = []
        self.order = order
        self.chance = chance
        self._id, self._at = f"{PREFIX}{number:05}", at
        self._channel = chance.choices(_CHANNELS, (6, 3, 2, 1))[0]
        self._turn = clock.new_id()
        self._calls = 0

    def tell(self, event: Event, seconds: float, covers: int = 1) -> None:
        """One event, so many seconds after the last."""
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

    def ask(self, words: str, agent: str, *, after: float = 0) -> None:
        """The customer speaks, and an agent takes it."""
        self._turn = clock.new_id()
        self.tell(Message(role="customer", content=words, message_id=clock.new_id()), after)
        self.tell(Route(targets=[{"agent": agent, "request": words}], reason="it fits its description"), 0.3)

    def pick(self, *phrases: str) -> str:
        """One of several ways to say it."""
        return self.chance.choice(phrases).format(order_id=self.order["order_id"])

    def call(self, tool: str, agent: str, **args: Any) -> str:
        """An agent asks for a tool; the call's id."""
        self._calls += 1
        call_id = f"call_{self._id}_{self._calls}"
        self.tell(ToolCall(agent=agent, tool=tool, args=args, tool_call_id=call_id), 0.5)
        return call_id

    def result(self, tool: str, agent: str, call_id: str, content: str, **more: Any) -> None:
        """What became of it."""
        spent = round(self.chance.lognormvariate(4, 0.6), 1)
        how: dict[str, Any] = {"status": "ok", "duration_ms": spent, **more}
        self.tell(
            ToolResult(agent=agent, tool=tool, tool_call_id=call_id, content=content, **how), spent / 1000
        )

    def say(self, words: str, agent: str) -> None:
        """An agent speaks, and the turn is over."""
        tokens = len(words.split())
        self.tell(Message(role="agent", content=words, agent=agent, message_id=clock.new_id()), 0.8, tokens)
        first = self.chance.lognormvariate(6, 0.35)
        usage = {
            "input_tokens": self.chance.randint(350, 1500),
            "output_tokens": tokens + 30,
            "cost_usd": None,
        }
        spent = first + tokens * self.chance.uniform(15, 35)
        self.tell(
            MessageComplete(
                usage=usage, duration_ms=round(spent, 1), first_token_ms=round(first, 1), model="demo"
            ),
            0.05,
        )

    def asks_a_lead(self, tool: str, agent: str, summary: str, done: str, **args: Any) -> None:
        """A write stops for a decision, and goes on from there."""
        call_id, approval_id = self.call(tool, agent, **args), f"{self._id}-{self._calls}"
        expires = clock.rfc3339(self._at + timedelta(minutes=30))
        self.tell(
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
        outcome = self.chance.choices(outcomes, (80, 10, 4, 6))[0]
        lead = self.chance.choices(list(_LEADS), [often for often, _ in _LEADS.values()])[0]
        waited = 1800 if outcome == "expired" else _LEADS[lead][1] * self.chance.lognormvariate(0, 0.7)
        reason = "The parcel has been handed over." if outcome == "rejected" else None
        by = "system" if outcome == "expired" else lead
        self.tell(
            Decision(approval_id=approval_id, outcome=outcome, decided_by=by, reason=reason, args=None),
            waited,
        )
        self._carried_out(tool, agent, call_id, outcome, reason, done)

    def _carried_out(
        self, tool: str, agent: str, call_id: str, outcome: Outcome, reason: str | None, done: str
    ) -> None:
        if outcome in ("rejected", "expired"):
            words = f"A colleague has decided against it. {reason}" if reason else "Nobody decided in time."
            status: Literal["rejected", "expired"] = "rejected" if outcome == "rejected" else "expired"
            self.result(tool, agent, call_id, words, status=status, duration_ms=None)
            self.say(f"{words} Shall I ask again?", agent)
        elif self.chance.random() < 0.02:
            words = "The payment service can't be reached just now; please try again later."
            self.result(tool, agent, call_id, words, status="error", error_class="transient")
            self.say(words, agent)
        else:
            self.result(tool, agent, call_id, orjson.dumps({"message": done}).decode())
            self.say(done, agent)


def _money(cents: int) -> str:
    return f"{cents / 100:,.2f} EUR"


def _looked_up(thread: _Thread) -> None:
    order = thread.order
    words = thread.pick(
        "Where is my order {order_id}?",
        "Hi, what is the status of {order_id}?",
        "I ordered last week, number {order_id}. Has it been sent?",
    )
    thread.ask(words, "order_lookup")
    call_id = thread.call("get_order_status", "order_lookup", order_id=order["order_id"])
    if thread.chance.random() < 0.04:
        words = f"There is no order {order['order_id']} under this address."
        thread.result(
            "get_order_status", "order_lookup", call_id, words, status="error", error_class="validation"
        )
    else:
        words = f"Order {order['order_id']} is {order['status']}."
        thread.result("get_order_status", "order_lookup", call_id, orjson.dumps({"message": words}).decode())
    thread.say(f"{words} Is there anything else I can do for you?", "order_lookup")


def _tracked(thread: _Thread) -> None:
    order_id = thread.order["order_id"]
    words = thread.pick(
        "Can you track the parcel of {order_id} for me?",
        "The parcel of {order_id} has not come. Where is it?",
    )
    thread.ask(words, "order_lookup")
    call_id = thread.call("get_tracking_info", "order_lookup", order_id=order_id)
    words = f"The parcel of order {order_id} left the sorting centre this morning."
    thread.result("get_tracking_info", "order_lookup", call_id, orjson.dumps({"message": words}).decode())
    thread.say(words, "order_lookup")


def _cancelled(thread: _Thread) -> None:
    order = thread.order
    words = thread.pick(
        "Please cancel order {order_id}, I ordered it twice.",
        "I no longer need {order_id}. Can you cancel it?",
        "Cancel order {order_id}, it takes too long.",
    )
    thread.ask(words, "order_actions")
    done = f"Order {order['order_id']} is cancelled; {_money(order['total_cents'])} go back to your card."
    thread.asks_a_lead(
        "cancel_order", "order_actions", f"Cancel order {order['order_id']}", done, order_id=order["order_id"]
    )


def _refunded(thread: _Thread) -> None:
    order_id, cents = thread.order["order_id"], thread.chance.randint(3, 120) * 100
    thread.ask(f"The lid was broken. Can I have {_money(cents)} back for {order_id}?", "order_actions")
    args = {"order_id": order_id, "amount_cents": cents, "reason": "arrived broken"}
    done = f"{_money(cents)} for order {order_id} go back to your card."
    if cents > 2000:
        summary = f"Refund {_money(cents)} for order {order_id}"
        thread.asks_a_lead("refund_order", "order_actions", summary, done, **args)
        return
    call_id = thread.call("refund_order", "order_actions", **args)
    thread.result("refund_order", "order_actions", call_id, done, policy="Up to 20.00 EUR nobody is asked.")
    thread.say(done, "order_actions")


def _given_a_coupon(thread: _Thread) -> None:
    thread.ask("My last parcel was a week late. Could I have something off the next?", "discount")
    done = "Here is a coupon for 10% off your next order."
    thread.asks_a_lead("generate_coupon", "discount", "Generate a coupon for 10%", done, percent=10)


def _moved(thread: _Thread) -> None:
    order_id, address = thread.order["order_id"], "Lindenweg 4, 20095 Hamburg, Germany"
    thread.ask(f"I have moved. Send {order_id} to {address} instead.", "order_actions")
    done = f"Order {order_id} will be sent to {address}."
    summary = f"Send order {order_id} to {address}"
    thread.asks_a_lead(
        "update_shipping_address", "order_actions", summary, done, order_id=order_id, new_address=address
    )


def _handed_over(thread: _Thread) -> None:
    words = thread.pick(
        "This is the third time I write. I want to speak to a person.",
        "Can a real person look at {order_id}, please?",
        "Your answers do not help me. Let me talk to somebody.",
    )
    thread.ask(words, "fallback")
    call_id = thread.call("escalate_to_human", "fallback", reason="the customer asks for a person")
    words = "A colleague will get back to you shortly."
    thread.result("escalate_to_human", "fallback", call_id, words)
    thread.tell(Escalation(reason="the customer asks for a person", delivered=True), 0.1)
    thread.say(words, "fallback")


def _left_open(thread: _Thread) -> None:
    thread.ask(
        thread.pick("I want to change something about my order.", "About {order_id}..."), "order_actions"
    )
    question = "What would you like to change?"
    thread.tell(Clarification(question=question, options=["The address", "Cancel it"]), 0.6)
    thread.say(question, "order_actions")


def _broken_off(thread: _Thread) -> None:
    thread.ask("Hello? Is anybody there?", "fallback")
    thread.tell(Failure(code="model_error", message="The language model could not answer."), 4)


def _asked_twice(thread: _Thread) -> None:
    _looked_up(thread)
    thread.ask("And when will it be here?", "order_lookup", after=thread.chance.uniform(20, 200))
    thread.say("It should be with you within two working days.", "order_lookup")


_KINDS: tuple[tuple[Callable[[_Thread], None], int], ...] = (
    *((_looked_up, 34), (_asked_twice, 12), (_tracked, 12), (_cancelled, 11), (_refunded, 12)),
    *((_given_a_coupon, 5), (_moved, 4), (_handed_over, 5), (_left_open, 4), (_broken_off, 1)),
)


def told(shop: Path, until: datetime, *, seed: int = 7) -> list[Record]:
    """All events of the days up to `until`, in the order of time.

    Args:
        shop: the folder of the demo shop's data.
    """
    chance = random.Random(seed)
    orders = orjson.loads((shop / "orders.json").read_bytes())
    kinds, weights = zip(*_KINDS, strict=True)
    records: list[Record] = []
    customers: list[str] = []
    for number, at in enumerate(_beginnings(until, chance)):
        again = customers and chance.random() < BACK_AGAIN
        customers.append(chance.choice(customers[-150:]) if again else f"C-{4000 + number}")
        order = chance.choice(orders) | {"customer_id": customers[-1]}
        thread = _Thread(number, at, order, chance)
        chance.choices(kinds, weights)[0](thread)
        records += thread.records
    return sorted((one for one in records if one.happened_at < until), key=lambda one: one.happened_at)


def _beginnings(until: datetime, chance: random.Random) -> Iterator[datetime]:
    """When conversations begin: more by day than by night, fewer at weekends, more as the weeks go on."""
    for back in range(DAYS, -1, -1):
        day = (until - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        busy = (0.45 if day.weekday() >= 5 else 1) * (0.6 + 0.4 * (DAYS - back) / DAYS)
        for _ in range(round(A_DAY * busy * chance.uniform(0.85, 1.15))):
            hour = chance.choices(range(24), _HOURS)[0]
            at = day + timedelta(hours=hour, seconds=chance.uniform(0, 3600))
            if at < until:
                yield at


async def write(event_log: EventLog, shop: Path) -> int:
    """Write the history up to now, in place of one that is there; how many conversations it has."""
    await event_log.erase(await threads(event_log))
    records = told(shop, clock.now())
    for start in range(0, len(records), AT_ONCE):
        # All are handed in before the first is waited for.
        for durable in [event_log.append(one) for one in records[start : start + AT_ONCE]]:
            await durable
    return len({record.thread_id for record in records})


async def threads(event_log: EventLog) -> list[str]:
    """The conversations of a history that is there."""
    rows = await event_log.query(
        "SELECT thread_id FROM events WHERE first_seq = 1 AND starts_with(thread_id, $prefix)",
        {"prefix": PREFIX},
    )
    return [str(row["thread_id"]) for row in rows]
