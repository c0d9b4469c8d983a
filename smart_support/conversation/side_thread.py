"""Answers a customer's messages while an approval is pending, on a side thread whose agents can only read.

The pending thread itself is left alone, because a message to it makes LangGraph forget its interrupt. The
messages of the side thread are merged into the conversation with its next message.
"""

from collections.abc import AsyncGenerator, Sequence
from itertools import takewhile

from smart_support.agents.tool_messages import with_all_results
from smart_support.conversation.graph_adapter.adapter import GraphRun, History, customer_message_ids
from smart_support.conversation.graph_adapter.own_graph import OwnGraph
from smart_support.conversation.sessions import SessionManager
from smart_support.events import Event, Message, Record
from smart_support.tools.withdrawal import SIDE_THREAD_MARK

STILL_DECIDING = "A colleague is still deciding on this; nothing has been done yet."


class SideThreads:
    """The side threads of conversations with a pending approval."""

    def __init__(self, graph: OwnGraph, sessions: SessionManager) -> None:
        self._graph = graph
        self._sessions = sessions

    def id_of(self, thread_id: str, interrupt_id: str) -> str:
        """The id of the side thread of an interrupt; no customer's thread can have it."""
        return f"{thread_id}{SIDE_THREAD_MARK}{interrupt_id}"

    async def answer(
        self, run: GraphRun, thread_id: str, interrupt_id: str, message: Message, records: Sequence[Record]
    ) -> AsyncGenerator[Event]:
        """Answer a message on the side thread of an interrupt, which starts as a copy of the conversation.

        Args:
            run: of the turn; it counts what the answer uses.
            records: what the turn recorded before a crash cut it off. Where the graph already has the
                message, it goes on from there.
        """
        side_thread_id = self.id_of(thread_id, interrupt_id)
        await self._sessions.set_side_thread(thread_id, side_thread_id)
        side_run = self._graph.start_read_only_run(side_thread_id, run.reader)
        history = (await self._graph.state(side_thread_id)).messages
        if not history:
            conversation = (await self._graph.state(thread_id)).messages
            stream = side_run.send(message, with_all_results(conversation, STILL_DECIDING))
        elif message.message_id not in customer_message_ids(history):
            stream = side_run.send(message)
        else:
            for event in side_run.unrecorded(history, records):
                yield event
            stream = side_run.go_on()
        async for event in stream:
            yield event

    async def messages(self, thread_id: str, side_thread_id: str, before: Message) -> History:
        """The messages of a side thread that its conversation does not hold.

        Args:
            before: a message of the customer; without it and those after it.
        """
        history = (await self._graph.state(thread_id)).messages
        known = {message.id for message in history}
        known |= {getattr(message, "tool_call_id", None) for message in with_all_results(history)}
        on_side = (await self._graph.state(side_thread_id)).messages
        earlier = list(takewhile(lambda one: before.message_id not in customer_message_ids([one]), on_side))
        return [
            message
            for message in with_all_results(earlier)
            if message.id not in known and getattr(message, "tool_call_id", "") not in known
        ]

    async def delete(self, thread_id: str, side_thread_id: str) -> None:
        """Delete a side thread whose messages are in the conversation now."""
        await self._graph.delete_thread(side_thread_id)
        await self._sessions.set_side_thread(thread_id, None)
