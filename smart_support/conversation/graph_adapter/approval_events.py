"""What a turn tells, and whether it was told before: approvals as events, and when two are the same fact."""

from collections.abc import Sequence

from langchain_core.messages import BaseMessage

from smart_support.approvals.approval import Approval
from smart_support.conversation.graph_adapter.message_keys import call_key, result_key
from smart_support.events import (
    Clarification,
    Decision,
    Event,
    Interrupt,
    Message,
    Record,
    ToolCall,
    ToolResult,
)

Identity = tuple[str, str | None]


def unseen(own: Sequence[Record], messages: Sequence[BaseMessage]) -> Message | None:
    """The customer's message of a turn, if the graph never got it."""
    seen = {message.id for message in messages}
    for record in own:
        event = record.event
        if isinstance(event, Message) and event.role == "customer" and event.message_id not in seen:
            return event
    return None


def identity(event: Event) -> Identity:
    """What makes two tellings of a fact the same fact."""
    if isinstance(event, (ToolCall, ToolResult)):
        return event.type, event.tool_call_id
    if isinstance(event, Message):
        return event.type, event.message_id
    if isinstance(event, Clarification):
        return event.type, event.question
    return event.type, getattr(event, "reason", None)


def ids_of(records: Sequence[Record]) -> set[str]:
    """The ids of the messages that were told."""
    return {
        one.event.message_id for one in records if isinstance(one.event, Message) and one.event.message_id
    }


def facts_since_customer(records: Sequence[Record]) -> set[str]:
    """The keys of the calls and results told since the customer's last message; see `message_keys`."""
    facts: set[str] = set()
    for record in records:
        event = record.event
        if isinstance(event, Message) and event.role == "customer":
            facts.clear()
        elif isinstance(event, ToolCall):
            facts.add(call_key(event.tool_call_id, event.tool, event.args))
        elif isinstance(event, ToolResult):
            facts.add(result_key(event.tool_call_id, event.content))
    return facts


def decision_of(approval: Approval) -> Decision:
    """The event that tells a decision."""
    return Decision(
        approval_id=approval.approval_id,
        outcome="approved" if approval.status == "pending" else approval.status,
        decided_by=approval.decided_by or "system",
        reason=approval.reason,
        args=dict(approval.call.args) if approval.status == "edited" else None,
    )


def interrupt_of(approval: Approval) -> Interrupt:
    """The event that tells what waits."""
    return Interrupt(
        interrupt_id=approval.interrupt_id,
        approval_id=approval.approval_id,
        action=approval.call.tool,
        args=dict(approval.call.args),
        agent=approval.call.agent,
        expires_at=approval.expires_at,
        summary=approval.call.summary,
    )
