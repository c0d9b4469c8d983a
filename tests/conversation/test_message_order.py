"""Several messages at once are put one after the other, whole, and nothing is lost or told twice."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from smart_support.conversation.graph_adapter.message_order import MessageOrder
from smart_support.events import Escalation, Event, Message, Token

Item = tuple[str | None, Event | None]


def _message(number: int, words: list[str], end: str) -> list[Item]:
    key = f"m{number}"
    items: list[Item] = [(key, Token(agent="worker", content=word)) for word in words]
    if end == "last chunk":
        items.append((key, None))
    if end == "whole":
        whole = Message(role="agent", content="".join(words), agent="worker", message_id=key)
        items.append((key, whole))
    return items


def _fact(number: int) -> list[Item]:
    return [(None, Escalation(reason=f"fact {number}", delivered=False))]


@st.composite
def _streams(draw: Any) -> tuple[dict[str, str], list[Item]]:
    words = st.lists(st.text("ab ", min_size=1, max_size=3), min_size=1, max_size=5)
    ends = st.sampled_from(["last chunk", "whole", "cut off"])
    texts: dict[str, str] = {}
    branches: list[list[Item]] = []
    for number in range(draw(st.integers(1, 4))):
        said = draw(words)
        texts[f"m{number}"] = "".join(said)
        branches.append(
            [*_message(number, said, draw(ends)), *(_fact(number) if draw(st.booleans()) else [])]
        )
    mixed: list[Item] = []
    while any(branches):
        mixed.append(draw(st.sampled_from([one for one in branches if one])).pop(0))
    return texts, mixed


def _passed(items: Sequence[Item]) -> list[Event]:
    order = MessageOrder()
    passed: list[Event] = []
    for key, event in items:
        passed += order.put(key, event) if event else order.end_message(str(key))
    return [*passed, *order.end_stream()]


@given(_streams())
def test_messages_come_one_after_the_other_and_whole(case: tuple[dict[str, str], list[Item]]) -> None:
    texts, items = case
    passed = _passed(items)
    whole: dict[str, str] = {}
    open_text: list[str] = []
    for event in passed:
        if isinstance(event, Token):
            open_text.append(event.content)
        elif isinstance(event, Message):
            assert event.content == "".join(open_text)
            assert event.message_id not in whole
            whole[str(event.message_id)] = event.content
            open_text = []
        else:
            assert not open_text, "a fact came in the middle of a message"
    assert not open_text
    assert whole == texts
    facts = [event for event in passed if isinstance(event, Escalation)]
    assert facts == [event for _, event in items if isinstance(event, Escalation)]


def test_the_first_to_speak_is_shown_at_once_and_the_next_as_soon_as_it_is_whole() -> None:
    order = MessageOrder()
    one, other = Token(agent="a", content="one"), Token(agent="a", content="other")
    assert list(order.put("1", one)) == [one]
    assert list(order.put("2", other)) == []
    ended = list(order.end_message("1"))
    assert ended == [Message(role="agent", content="one", agent="a", message_id="1"), other]
