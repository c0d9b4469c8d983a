"""The tool by which a customer withdraws the request that waits for a decision."""

from typing import Any, Protocol

from smart_support.errors import ToolRefused
from smart_support.tools.registry import Access, Args, Call, Tool

WITHDRAW = "withdraw_request"
# What makes the id of the side thread on which a conversation goes on while an interrupt waits; no customer's
# thread can have this character in its id.
SIDE_THREAD_MARK = "~"


class Withdraw(Protocol):
    """Withdraws what an interrupt of a thread waits for."""

    async def __call__(self, thread_id: str, interrupt_id: str, reason: str | None) -> bool:
        """Return whether something was withdrawn: it may have been decided already."""
        ...


def withdrawal_tool(withdraw: Withdraw) -> Tool:
    """The tool `withdraw_request(reason)`. It is a read, because it takes an action back and does none.

    It withdraws only what its own side thread stands beside, so that nobody withdraws another's request.
    """

    async def run(args: Args, call: Call) -> dict[str, Any]:
        thread_id, _, interrupt_id = call.thread_id.partition(SIDE_THREAD_MARK)
        if not await withdraw(thread_id, interrupt_id, args.get("reason")):
            raise ToolRefused("It is too late to withdraw this request: it has just been decided.")
        return {"message": "The request is withdrawn."}

    return Tool(
        name=WITHDRAW,
        description="Withdraw the customer's own request that waits for a colleague, when the customer takes "
        "it back or corrects it. The message is answered after that.",
        schema={
            "type": "object",
            "properties": {
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 500,
                    "description": "why, in the customer's words",
                }
            },
            "additionalProperties": False,
        },
        access=Access.READ,
        run=run,
        customer_source="none",
    )
