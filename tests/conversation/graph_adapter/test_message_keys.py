"""Messages without an id are told apart by what they say and how often it was said."""

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from smart_support.conversation.graph_adapter.message_keys import MessageKeys

_MESSAGES = st.one_of(
    st.builds(AIMessage, st.sampled_from(["OK.", "Done."])),
    st.builds(ToolMessage, st.sampled_from(["OK.", "gone"]), tool_call_id=st.sampled_from(["1", "2"])),
)


def _fresh(messages: list[BaseMessage]) -> list[BaseMessage]:
    return [message.model_copy() for message in messages]


@given(
    before=st.lists(_MESSAGES, max_size=4),
    steps=st.lists(st.lists(_MESSAGES, min_size=1, max_size=3), max_size=4),
    data=st.data(),
)
def test_each_message_is_new_once_however_it_is_given(
    before: list[BaseMessage], steps: list[list[BaseMessage]], data: st.DataObject
) -> None:
    """A step may give what is new, or the whole history with it; both reducers exist."""
    keys, history = MessageKeys(), [HumanMessage("hello"), *before]
    keys.remember(history)
    told: set[str] = set()
    for step in steps:
        history = [*history, *step]
        update = history if data.draw(st.booleans(), "gives the whole history") else step
        found = keys.of(_fresh(update))
        new = [key for key in found if not keys.is_known(key) and key not in told]
        assert len(new) == len(step)
        told |= set(new)
    at_the_end = MessageKeys().of_history(_fresh(history))
    assert not [key for key in at_the_end if not keys.is_known(key) and key not in told]


def test_an_id_is_all_that_counts_where_there_is_one() -> None:
    keys = MessageKeys()
    keys.remember([AIMessage("OK.", id="a")])
    again, other = keys.of([AIMessage("rewritten", id="a"), AIMessage("OK.", id="b")])
    assert keys.is_known(again)
    assert not keys.is_known(other)
