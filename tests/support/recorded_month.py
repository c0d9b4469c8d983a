"""A month of recorded conversations, written through the event log: something for the figures to show."""

import asyncio
import random
import sys
from datetime import timedelta
from pathlib import Path

from smart_support import clock
from smart_support.events import (
    Decision,
    Escalation,
    Event,
    Interrupt,
    Message,
    MessageComplete,
    Record,
    Route,
    ToolCall,
    ToolResult,
)
from smart_support.storage.events.embedded import EmbeddedEventStore

ASKED = {
    "order_lookup": ("get_tracking_info", "Where is my order {n}?", "Order {n} is on its way."),
    "order_actions": ("cancel_order", "Please cancel order {n}", "Order {n} is cancelled."),
    "discount": ("generate_coupon", "10% off my next order, please", "Here is your coupon."),
    "fallback": ("escalate_to_human", "I want to talk to a human", "A colleague takes over."),
}


def conversation(chance: random.Random, number: int) -> list[Event]:
    """The events of one conversation."""
    agent = chance.choices([*ASKED], [6, 4, 2, 1])[0]
    tool, asked, answer = ASKED[agent]
    order = str(chance.randrange(1001, 1241))
    call_id, approval_id, events = f"call-{number}", clock.new_id(), list[Event]()
    outcome = chance.choices(["approved", "rejected", "edited", "expired"], [12, 3, 1, 1])[0]
    events.append(Message(role="customer", content=asked.format(n=order)))
    events.append(Route(targets=[{"agent": agent, "request": asked}], reason="It fits its tools."))
    args = {"order_id": order} if tool != "generate_coupon" else {"percent": 10}
    events.append(ToolCall(agent=agent, tool=tool, args=args, tool_call_id=call_id))
    ran = "ok" if chance.random() > 0.08 else "error"
    if agent in ("order_actions", "discount"):
        expires = clock.rfc3339(clock.now())
        asked_for = {"interrupt_id": call_id, "approval_id": approval_id, "action": tool, "args": args}
        events.append(Interrupt(**asked_for, agent=agent, expires_at=expires, summary=asked.format(n=order)))
        events.append(Decision(approval_id=approval_id, outcome=outcome, decided_by="dana"))  # type: ignore[arg-type]
        ran = ran if outcome in ("approved", "edited") else outcome
    result = {"agent": agent, "tool": tool, "tool_call_id": call_id, "content": answer.format(n=order)}
    events.append(ToolResult(**result, status=ran, duration_ms=chance.uniform(2, 90)))  # type: ignore[arg-type]
    if agent == "fallback":
        events.append(Escalation(reason="asked for a person", delivered=True))
    events.append(Message(role="agent", content=answer.format(n=order), agent=agent))
    usage = {
        "input_tokens": chance.randrange(200, 900),
        "output_tokens": chance.randrange(20, 120),
        "cost_usd": None,
    }
    events.append(MessageComplete(usage=usage, duration_ms=chance.lognormvariate(7, 0.5), model="demo"))
    return events


LONG = "past-long"


def long_conversation(steps: int) -> list[Event]:
    """One conversation of so many steps: the same question over and over; every 50th time it fails."""
    events = list[Event]()
    for number in range(1, steps // 5 + 1):
        call_id, down = f"call-long-{number}", number % 50 == 0
        events.append(Message(role="customer", content=f"No. {number}: where is order 1042?"))
        call = {"agent": "order_lookup", "tool": "get_order_status", "tool_call_id": call_id}
        events.append(ToolCall(**call, args={"order_id": "1042"}))  # type: ignore[arg-type]
        content, status = (
            ("The shop is down.", "error") if down else (f"Parcel {number} is on its way.", "ok")
        )
        events.append(ToolResult(**call, status=status, content=content))  # type: ignore[arg-type]
        events.append(Message(role="agent", content=content * (1 + number % 7), agent="order_lookup"))
        usage = {"input_tokens": 100, "output_tokens": 10, "cost_usd": None}
        events.append(MessageComplete(usage=usage, duration_ms=900.0, model="demo"))
    return events


async def write(data_dir: Path, conversations: int = 400, long_steps: int = 0, days: int = 28) -> None:
    """Write conversations of the last `days` into a fresh data folder, and where asked for a long one."""
    chance, log = random.Random(7), EmbeddedEventStore(data_dir / "events.duckdb")
    starts = sorted(clock.now() - timedelta(days=chance.uniform(0.02, days)) for _ in range(conversations))
    for number, start in enumerate(starts):
        moment, turn_id = start, clock.new_id()
        for seq, event in enumerate(conversation(chance, number), start=1):
            waits = isinstance(event, Decision)
            moment += timedelta(seconds=chance.lognormvariate(4, 1) if waits else chance.uniform(0.01, 0.8))
            record = Record(
                f"past-{number}",
                seq,
                event,
                turn_id=turn_id,
                channel="socket",
                customer_id=f"C-{2001 + number % 60}",
            )
            record.happened_at = moment
            done = log.append(record)
    for place, event in enumerate(long_conversation(long_steps), start=1):
        # A spoken message has the numbers of its tokens: a step's number is not its place.
        done = log.append(
            Record(LONG, 3 * place, event, first_seq=3 * place - 2, turn_id=turn_id, channel="rest")
        )
    await done
    log.close()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), *map(int, sys.argv[2:])))
