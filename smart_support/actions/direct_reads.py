"""A read on a thread of its own: it is done and recorded in one go, and answered once the record is durable.

A write needs a turn that survives a crash between its steps. A read that a crash cuts off was not answered
and has changed nothing, so it leaves no trace: its client reads again. It is recorded as any other action is.
"""

import asyncio
import time
from dataclasses import dataclass, replace

from smart_support import clock
from smart_support.actions.action import Action
from smart_support.actions.store import ActionStore
from smart_support.actions.turn import NO_USAGE, call_event, result_event, settled
from smart_support.conversation.sessions import SessionManager
from smart_support.events import Event, MessageComplete, Record
from smart_support.gate.caller import Caller
from smart_support.gate.gate import Gate
from smart_support.identity.customer_tokens import VerifiedCustomer
from smart_support.observability import tracing
from smart_support.observability.log import get_logger
from smart_support.storage.events.base import EventStore
from smart_support.tools.registry import Tool

log = get_logger()
# Of one read.
MAX_EVENTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectReads:
    """Runs reads on threads that are not on record yet."""

    store: ActionStore
    gate: Gate
    sessions: SessionManager
    event_log: EventStore

    async def run(
        self, action: Action, tool: Tool, caller: Caller, customer: VerifiedCustomer | None
    ) -> Action:
        """Run a read and record it.

        Args:
            action: new, with checked arguments.
            customer: whom a website vouches for.

        Returns:
            The action, settled.

        Raises:
            StorageFailed, EventRefused: it could not be recorded.
            CallerDisabled: the caller's key was disabled meanwhile.
        """
        started = time.perf_counter()
        with tracing.span("turn", channel=action.channel):
            called_at = clock.now()
            result = await self.gate.read(
                caller,
                tool,
                dict(action.args),
                tool_call_id=action.action_id,
                thread_id=action.thread_id,
                bound_customer=customer.id if customer else None,
            )
            elapsed_ms = round((time.perf_counter() - started) * 1000, 1)
            events: list[Event] = [call_event(action), result_event(result)]
            if result.escalation is not None:
                events.append(result.escalation)
            events.append(MessageComplete(usage=dict(NO_USAGE), duration_ms=elapsed_ms))
            customer_id = result.customer_id or (customer.id if customer else None)
            turn_id = clock.new_id()
            durable = [
                self.event_log.append(
                    Record(
                        thread_id=action.thread_id,
                        seq=seq,
                        event=event,
                        turn_id=turn_id,
                        channel=action.channel,
                        customer_id=customer_id,
                        caller=action.caller,
                        event_id=clock.new_id(),
                        happened_at=called_at if seq == 1 else clock.now(),
                    )
                )
                for seq, event in enumerate(events, 1)
            ]
            # Before its row: what is kept too long or is to be erased is looked for among the events.
            await asyncio.gather(*durable)
            action = replace(action, **settled(result))
            await self.store.add_settled(action, len(events), customer_id, customer)
        self.sessions.notify(action.thread_id)
        log.info("action_settled", action_id=action.action_id, status=action.status)
        return action
