"""The tool that hands a conversation over to a human."""

from typing import Any, Protocol

from smart_support.events import EscalationKind
from smart_support.tools.registry import Access, Args, Call, Tool

ESCALATE = "escalate_to_human"


class Escalate(Protocol):
    """Notifies a human that one is needed."""

    async def __call__(
        self, thread_id: str, reason: str, about: str | None = None, kind: EscalationKind | None = None
    ) -> bool:
        """Return whether the notification was delivered. For the same `about` there is only one."""
        ...


def handoff_tool(escalate: Escalate, words: str) -> Tool:
    """The tool `escalate_to_human(reason)`. It is a read, because it must never wait for approval.

    Args:
        escalate: notifies the human.
        words: the message for the customer.
    """

    async def run(args: Args, call: Call) -> dict[str, Any]:
        reason = str(args["reason"])
        about = f"{call.thread_id}:{call.tool_call_id}"
        delivered = await escalate(call.thread_id, reason, about, kind="asked")
        return {"message": words, "reason": reason, "delivered": delivered}

    return Tool(
        name=ESCALATE,
        description="Hand the conversation over to a human colleague, when the customer asks for a person "
        "or nothing else helps.",
        schema={
            "type": "object",
            "properties": {
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 2000,
                    "description": "what the human should know, in one or two sentences",
                }
            },
            "required": ["reason"],
            "additionalProperties": False,
        },
        access=Access.READ,
        run=run,
        customer_source="none",
    )
