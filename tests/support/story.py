"""Conversations for a log, told as they would happen: each call is one event, numbered and dated."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

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
    Record,
    Route,
    ToolCall,
    ToolResult,
)
from smart_support.storage.events.base import EventStore


class Story:
    """One thread. It starts at `at`; `wait` lets time pass, and every event takes `step` seconds."""

    def __init__(
        self,
        thread_id: str,
        at: datetime,
        *,
        step: float = 1,
        customer_id: str | None = None,
        channel: str = "socket",
    ) -> None:
        self.thread_id = thread_id
        self.at = at
        self.step = timedelta(seconds=step)
        self.customer_id = customer_id
        self.channel = channel
        self.turn_id = clock.new_id()
        self.records: list[Record] = []

    def _tell(self, event: Event, covers: int = 1) -> "Story":
        last = self.records[-1].seq if self.records else 0
        self.records.append(
            Record(
                self.thread_id,
                last + covers,
                event,
                first_seq=last + 1,
                turn_id=self.turn_id,
                channel=self.channel,
                customer_id=self.customer_id,
                happened_at=self.at,
            )
        )
        self.at += self.step
        return self

    def renamed(self, thread_id: str) -> "Story":
        """The same story as that of another thread."""
        self.thread_id = thread_id
        for one in self.records:
            one.thread_id = thread_id
        return self

    def wait(self, **time: float) -> "Story":
        """Let time pass."""
        self.at += timedelta(**time)
        return self

    def ask(self, content: str = "Where is my order?") -> "Story":
        """The customer speaks: a turn begins."""
        self.turn_id = clock.new_id()
        return self._tell(Message(role="customer", content=content))

    def route(self, agent: str = "order_lookup") -> "Story":
        return self._tell(Route(targets=[{"agent": agent, "request": "all of it"}], reason="fits"))

    def answer(
        self, content: str = "It is on its way.", agent: str = "order_lookup", tokens: int = 5
    ) -> "Story":
        """An agent speaks, in so many tokens."""
        return self._tell(Message(role="agent", content=content, agent=agent), tokens)

    def call(self, tool: str = "get_order_status", agent: str = "order_lookup") -> "Story":
        return self._tell(ToolCall(agent=agent, tool=tool, args={"order_id": "1042"}, tool_call_id="call-1"))

    def result(
        self,
        status: Any = "ok",
        tool: str = "get_order_status",
        agent: str = "order_lookup",
        **more: Any,
    ) -> "Story":
        return self._tell(
            ToolResult(agent=agent, tool=tool, tool_call_id="call-1", status=status, content="{}", **more)
        )

    def interrupt(
        self, approval_id: str, tool: str = "cancel_order", agent: str = "order_actions", **more: Any
    ) -> "Story":
        """The turn ends, waiting for a decision."""
        return self._tell(
            Interrupt(
                interrupt_id=f"interrupt of {approval_id}",
                approval_id=approval_id,
                action=tool,
                args={"order_id": "1042"},
                agent=agent,
                expires_at=clock.rfc3339(self.at + timedelta(minutes=30)),
                summary="Cancel order 1042",
                **more,
            )
        )

    def decide(self, approval_id: str, outcome: Any = "approved", by: str = "dana") -> "Story":
        """Someone, or the clock, decides: a turn begins."""
        self.turn_id = clock.new_id()
        return self._tell(Decision(approval_id=approval_id, outcome=outcome, decided_by=by))

    def clarify(self) -> "Story":
        return self._tell(Clarification(question="Which order?", options=["1042", "1043"]))

    def escalate(self, kind: Any = "asked") -> "Story":
        return self._tell(Escalation(reason="asked for a human", delivered=True, kind=kind))

    def complete(
        self,
        duration_ms: float = 1000,
        tokens: tuple[int, int] = (0, 0),
        cost_usd: float | None = None,
        **more: Any,
    ) -> "Story":
        """The turn ends well."""
        usage = {"input_tokens": tokens[0], "output_tokens": tokens[1], "cost_usd": cost_usd}
        return self._tell(MessageComplete(usage=usage, duration_ms=duration_ms, **more))

    def fail(self) -> "Story":
        """The turn ends in an error."""
        return self._tell(Failure(code="model_error", message="It could not answer."))


def resolved(thread_id: str, at: datetime, **options: Any) -> Story:
    """Asked, looked up, answered."""
    return Story(thread_id, at, **options).ask().route().call().result().answer().complete()


def waiting(thread_id: str, at: datetime, approval_id: str, **options: Any) -> Story:
    """Asked for a write that nobody has decided on."""
    story = Story(thread_id, at, **options).ask("Cancel order 1042").route("order_actions")
    return story.call("cancel_order", "order_actions").interrupt(approval_id)


def carried_out(thread_id: str, at: datetime, approval_id: str, **options: Any) -> Story:
    """Asked for a write that was approved and ran."""
    story = waiting(thread_id, at, approval_id, **options).decide(approval_id)
    return story.result("ok", "cancel_order", "order_actions").answer("Done.", "order_actions").complete()


async def record(log: EventStore, *stories: Story) -> None:
    """Have the log take all of it, in the order of time."""
    records = [record for story in stories for record in story.records]
    await asyncio.gather(*(log.append(item) for item in sorted(records, key=lambda item: item.happened_at)))
