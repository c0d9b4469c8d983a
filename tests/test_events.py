"""What clients are sent of events."""

import pytest

from smart_support.events import Event, Message, Record, ToolCall


@pytest.mark.parametrize(
    "event",
    [
        Message(role="agent", content="Hello.", agent="desk", reasoning="secret"),
        ToolCall(agent="desk", tool="look_up", args={}, tool_call_id="a", reasoning="secret"),
    ],
)
def test_no_client_is_sent_what_a_model_thought(event: Event) -> None:
    assert "secret" not in Record(thread_id="t", seq=1, event=event).wire()
