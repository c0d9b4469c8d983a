"""Collects a turn's events into the one response that REST and the Gradio API return."""

from typing import Any, Literal

import orjson

from smart_support import clock
from smart_support.errors import SmartSupportError
from smart_support.events import (
    Clarification,
    Escalation,
    Event,
    Failure,
    Interrupt,
    MessageComplete,
    Shown,
    Token,
    ToolCall,
    ToolResult,
    payload,
)

Status = Literal["streaming", "complete", "awaiting_approval", "clarification", "error"]


class Reply:
    """The response of one turn, as far as it has come.

    Attributes:
        text: the agents' messages, with an empty line between two.
        incomplete: why the last answer is not a whole one, as in `events.MessageComplete`.
        error: `{"code", "message"}` where the turn failed.
    """

    def __init__(self, thread_id: str) -> None:
        self.thread_id = thread_id
        self.status: Status = "streaming"
        self.agent: str | None = None
        self.text = ""
        self.tool_calls: list[dict[str, Any]] = []
        self.clarification: dict[str, Any] | None = None
        self.escalation: dict[str, Any] | None = None
        self.approval_id: str | None = None
        self.usage: dict[str, Any] | None = None
        self.incomplete: str | None = None
        self.error: dict[str, str] | None = None
        self._between_messages = True

    def add(self, shown: Shown) -> None:
        """Add an event."""
        event = shown.event
        if isinstance(event, Token):
            if self._between_messages and self.text:
                self.text += "\n\n"
            self._between_messages = False
            self.text += event.content
            self.agent = event.agent
        else:
            self._between_messages = True
            self._add_fact(event)

    def fail(self, error: SmartSupportError) -> None:
        """Note that the turn could not start."""
        self.status, self.error = "error", {"code": error.code, "message": error.message}

    def as_dict(self, approval: dict[str, Any] | None = None) -> dict[str, Any]:
        """The response as programs get it; `approval` is the one that `approval_id` names."""
        return {
            "thread_id": self.thread_id,
            "status": self.status,
            "agent": self.agent,
            "reply": self.text,
            "tool_calls": self.tool_calls,
            "clarification": self.clarification,
            "escalation": self.escalation,
            "approval": approval,
            "usage": self.usage,
            "incomplete": self.incomplete,
            "error": self.error,
        }

    def _add_fact(self, event: Event) -> None:
        if isinstance(event, ToolCall):
            call = {
                "tool": event.tool,
                "args": event.args,
                "tool_call_id": event.tool_call_id,
                "agent": event.agent,
            }
            self.tool_calls.append(call | {"status": "pending", "result": None})
        elif isinstance(event, ToolResult):
            self._finish_call(event)
        elif isinstance(event, Clarification):
            self.clarification = payload(event)
            self.text = event.question
        elif isinstance(event, Escalation):
            self.escalation = payload(event)
        elif isinstance(event, Interrupt):
            self.status, self.approval_id, self.agent = "awaiting_approval", event.approval_id, event.agent
            self.text = "\n\n".join(part for part in (self.text, _pending_text(event)) if part)
        elif isinstance(event, MessageComplete):
            self.status, self.usage = ("clarification" if self.clarification else "complete"), event.usage
            self.incomplete = event.incomplete
        elif isinstance(event, Failure):
            self.status, self.error = "error", {"code": event.code, "message": event.message}

    def _finish_call(self, event: ToolResult) -> None:
        outcome = {"status": event.status, "result": _readable(event.content)}
        for call in self.tool_calls:
            if call["tool_call_id"] == event.tool_call_id:
                call.update(outcome)
                return
        call = {"tool": event.tool, "args": None, "tool_call_id": event.tool_call_id, "agent": event.agent}
        self.tool_calls.append(call | outcome)


def _pending_text(event: Interrupt) -> str:
    """What the customer reads while an approval is pending. A socket's client has it from the event."""
    until = clock.parse(event.expires_at)
    return (
        f"A colleague has to approve this first: {event.summary.rstrip('.')}. They have until "
        f"{until:%H:%M} UTC; I will tell you here what they decide."
    )


def _readable(content: str) -> Any:
    """A tool's result as JSON where it is JSON, as text otherwise."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content
