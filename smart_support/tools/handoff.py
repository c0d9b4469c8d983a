"""The tool that hands a conversation over to a human. How the human is told comes from outside."""

from typing import Any, Protocol

from smart_support.events import EscalationKind
from smart_support.tools.registry import Access, Args, Call, Tool

ESCALATE = "escalate_to_human"


class Escalate(Protocol):
    """How a human is told that one is needed."""

    async def __call__(
        self, thread_id: str, reason: str, about: str | None = None, kind: EscalationKind | None = None
    ) -> bool:
        """Whether they were reached. The same `about` is told once, however often it is asked."""
        ...


def handoff_tool(escalate: Escalate, words: str) -> Tool:
    """`escalate_to_human(reason)`: a read, for it changes nothing of the business and must never wait.

    Args:
        escalate: tells the human.
        words: what the customer is told.
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
    )
