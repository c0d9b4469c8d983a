"""Answers while a colleague decides: a side thread of the conversation whose agents may only look.

The thread that waits is left alone, because a message to it would make LangGraph forget what it waits for.
What was said aside is taken back into the conversation with its next message.
"""

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage, HumanMessage

from smart_support.agents.tool_messages import with_all_results
from smart_support.conversation.sessions import SessionManager

STILL_DECIDING = "A colleague is still deciding on this; nothing has been done yet."


class Aside:
    """The side threads of conversations that wait."""

    def __init__(self, graph: Any, sessions: SessionManager) -> None:
        """`graph`: of the same agents, compiled so that no write passes its gate."""
        self.graph = graph
        self._sessions = sessions

    async def begin(self, thread_id: str, interrupt_id: str) -> str:
        """The side thread for what waits; kept with the session. No customer's thread can have its name."""
        aside = f"{thread_id}~{interrupt_id}"
        await self._sessions.set_aside(thread_id, aside)
        return aside

    async def input(
        self, aside: str, history: Sequence[AnyMessage], message: HumanMessage
    ) -> dict[str, Any] | None:
        """What goes into the graph: the message, before it the conversation where the thread is new.

        None where the graph has the message already, as after a crash.
        """
        said = await self.messages(aside)
        if any(one.id == message.id for one in said):
            return None
        return {"messages": [message] if said else [*with_all_results(history, STILL_DECIDING), message]}

    async def messages(self, aside: str) -> list[AnyMessage]:
        """What a side thread holds so far."""
        state = await self.graph.aget_state({"configurable": {"thread_id": aside}})
        return list(state.values.get("messages", ()))

    async def taken_back(self, aside: str, history: Sequence[AnyMessage]) -> list[AnyMessage]:
        """What was said aside and is not in the conversation's own history."""
        known = {message.id for message in history}
        known |= {getattr(message, "tool_call_id", None) for message in with_all_results(history)}
        said = await self.messages(aside)
        return [
            message
            for message in with_all_results(said)
            if message.id not in known and getattr(message, "tool_call_id", "") not in known
        ]

    async def end(self, thread_id: str, aside: str) -> None:
        """Forget a side thread; what it held is in the conversation now."""
        await self.graph.checkpointer.adelete_thread(aside)
        await self._sessions.set_aside(thread_id, None)
