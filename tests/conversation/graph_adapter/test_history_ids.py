"""The customer's messages in a graph's history: no id that they choose replaces another message."""

from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.graph.message import add_messages

from smart_support import clock
from smart_support.conversation.graph_adapter.adapter import (
    as_human,
    customer_message_ids,
    unread_history,
)
from smart_support.events import Message, Record

ID = "5f0c7a52-0f4e-4a53-9d0c-0d6c3b5f8a11"


def _record(role: Any, content: str, seq: int) -> Record:
    event = Message(role=role, content=content, message_id=ID)
    return Record(
        thread_id="t",
        seq=seq,
        event=event,
        turn_id="turn",
        channel="websocket",
        event_id=clock.new_id(),
        happened_at=clock.now(),
    )


def test_a_message_with_a_colleague_s_id_stands_beside_it() -> None:
    history: list[BaseMessage] = list(unread_history([_record("colleague", "No refund.", 1)], []))
    said = as_human(Message(role="customer", content="I get a refund.", message_id=ID))
    merged = add_messages(history, [said])  # type: ignore[arg-type]
    assert [one.text for one in merged] == ["No refund.", "I get a refund."]  # type: ignore[union-attr]
    assert customer_message_ids(history) == set()


def test_both_are_given_to_the_agents_where_both_are_unread() -> None:
    records = [_record("colleague", "No refund.", 1), _record("customer", "I get a refund.", 2)]
    assert [one.text for one in unread_history(records, [])] == ["No refund.", "I get a refund."]


def test_histories_of_earlier_versions_are_recognised() -> None:
    stored = [HumanMessage("Hello", id=ID), AIMessage("Hi", id="other")]
    assert customer_message_ids(stored) == {ID}
    assert unread_history([_record("customer", "Hello", 1)], stored) == []
