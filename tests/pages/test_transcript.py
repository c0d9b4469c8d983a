"""Events of a thread as the Chatbot's messages."""

import re
import time
from dataclasses import replace
from html import unescape
from typing import Any

import orjson

from pages.transcript import EARLIER, MAX_SHOWN, TYPING, Transcript
from smart_support.events import (
    Clarification,
    Decision,
    Escalation,
    Event,
    Failure,
    Interrupt,
    Message,
    MessageComplete,
    Record,
    Route,
    Token,
    TokenRecord,
    ToolCall,
    ToolResult,
)

TITLES = {"order_actions": "Order changes", "discount": "Discounts"}
DONE = MessageComplete(usage={}, duration_ms=1)
CALL = ToolCall(agent="order_actions", tool="cancel_order", args={"order_id": "1042"}, tool_call_id="c1")
ASKED = Interrupt(
    interrupt_id="i",
    approval_id="01a2",
    action="cancel_order",
    args={"order_id": "1042"},
    agent="order_actions",
    expires_at="2026-11-23T12:30:00.000000Z",
    summary="Cancel order 1042.",
)


def customer(text: str) -> Message:
    return Message(role="customer", content=text)


def token(text: str, agent: str = "order_actions") -> Token:
    return Token(agent=agent, content=text)


def result(
    status: Any = "ok", content: str = '{"message":"done"}', duration: float | None = 12
) -> ToolResult:
    return ToolResult(
        agent="order_actions",
        tool="cancel_order",
        tool_call_id="c1",
        status=status,
        content=content,
        duration_ms=duration,
    )


def decision(outcome: Any = "approved", reason: str | None = None) -> Decision:
    return Decision(approval_id="01a2", outcome=outcome, decided_by="dana", reason=reason)


def transcript(*events: Event) -> Transcript:
    made = Transcript(title=lambda name: TITLES.get(name, name))
    for seq, event in enumerate(events, 1):
        made.add(TokenRecord("t", seq, event) if isinstance(event, Token) else Record("t", seq, event))
    return made


def contents(*events: Event) -> list[str]:
    return [message["content"] for message in transcript(*events).messages()]


def test_tokens_become_one_message_under_the_agents_title() -> None:
    shown = transcript(customer("hi"), token("It is "), token("**packed**."), DONE).messages()
    assert shown[0] == {"role": "user", "content": "hi"}
    assert shown[1]["content"] == '<span class="ss-agent">Order changes</span>'
    assert shown[2] == {"role": "assistant", "content": "It is **packed**."}
    assert len(shown) == 3


def test_each_agent_is_introduced_when_it_takes_over() -> None:
    told = contents(customer("hi"), token("a"), token("b", "discount"), token("c", "discount"), DONE)
    assert [text for text in told if "ss-agent" in text] == [
        '<span class="ss-agent">Order changes</span>',
        '<span class="ss-agent">Discounts</span>',
    ]
    assert told[-1] == "bc"


def test_someone_is_at_work_until_the_turn_ends() -> None:
    assert contents(customer("hi"))[-1] == TYPING
    assert TYPING not in contents(customer("hi"), token("a"))
    assert contents(customer("hi"), CALL)[-1] == TYPING
    assert TYPING not in contents(customer("hi"), token("a"), DONE)


def test_a_tool_step_opens_and_closes() -> None:
    pending = transcript(customer("hi"), CALL).messages()[2]
    assert pending["metadata"]["status"] == "pending"
    done = transcript(customer("hi"), CALL, result(), DONE).messages()[2]
    assert done["metadata"]["status"] == "done"
    assert "12 ms" in done["metadata"]["title"]
    assert "ss-chip--green" in done["metadata"]["title"]
    assert "1042" in done["content"]
    assert "done" in done["content"]


def test_a_waiting_call_is_a_card_until_it_has_run() -> None:
    waiting = transcript(customer("hi"), CALL, ASKED).messages()
    assert [message for message in waiting if "metadata" in message] == []
    assert "ss-wait--pending ss-wait-of-01a2" in waiting[-1]["content"]
    assert "until 12:30 UTC" in waiting[-1]["content"]
    done = transcript(customer("hi"), CALL, ASKED, decision(), result(), token("Cancelled."), DONE).messages()
    assert "ss-wait--approved" in done[2]["content"]
    assert 'Approved by <span class="ss-value">dana</span>' in done[2]["content"]
    assert "Called" in done[3]["metadata"]["title"]
    assert done[4]["content"] == "Cancelled."


def test_a_rejection_tells_who_and_why() -> None:
    told = contents(customer("hi"), CALL, ASKED, decision("rejected", "not <yet>"), result("rejected"), DONE)
    assert 'Rejected by <span class="ss-value">dana</span>' in told[2]
    assert "not &#60;yet&#62;" in told[2]
    assert "ss-chip--red" in transcript(CALL, result("rejected"), DONE).messages()[1]["metadata"]["title"]


def test_an_expired_one_says_that_nothing_was_done() -> None:
    assert "nothing was done" in contents(customer("hi"), CALL, ASKED, decision("expired"), DONE)[2]


def test_choices_are_offered_until_the_customer_goes_on() -> None:
    asked = Clarification(question="Which one?", options=["Order 1042", "\u202eOrder 1043"])
    offered = transcript(customer("hi"), asked, DONE).messages()[-1]
    assert offered["options"] == [
        {"value": "Order 1042", "label": "Order 1042"},
        {"value": "\u202eOrder 1043", "label": "⟨U+202E⟩Order 1043"},
    ]
    later = transcript(customer("hi"), asked, DONE, customer("Order 1042")).messages()
    assert later[1]["options"] == []


def test_several_requests_are_announced_in_their_order() -> None:
    targets = [{"agent": "order_actions", "request": "a"}, {"agent": "discount", "request": "b"}]
    assert (
        "<b>Order changes</b>, then <b>Discounts</b>" in contents(Route(targets=targets, reason=""), DONE)[0]
    )
    assert contents(Route(targets=targets[:1], reason=""), DONE) == []


def test_escalations_and_errors_are_told() -> None:
    told = contents(Escalation(reason="asks for a person", delivered=False), DONE)
    assert "Handed over to a human" in told[0]
    assert "No notification is configured" in told[0]
    failed = contents(customer("hi"), Failure(code="model_error", message="Try again."))
    assert "ss-note--red" in failed[-1]
    assert "Try again" in failed[-1]


def test_nothing_from_outside_is_markup() -> None:
    evil = "<img src=x onerror=alert(1)> ![a](http://evil.example/x.png)"
    hostile = ToolCall(agent=evil, tool=evil, args={"a": evil}, tool_call_id="c1")
    asked = Interrupt(
        interrupt_id="i",
        approval_id="01a2",
        action=evil,
        args={},
        agent=evil,
        expires_at=ASKED.expires_at,
        summary=evil,
    )
    shown = transcript(
        customer(evil),
        Route(targets=[{"agent": evil, "request": evil}] * 2, reason=evil),
        token(evil, evil),
        hostile,
        result(content=evil),
        asked,
        Decision(approval_id="01a2", outcome="rejected", decided_by=evil, reason=evil),
        Clarification(question=evil, options=[evil]),
        Escalation(reason=evil, delivered=True),
        Failure(code="model_error", message=evil),
    ).messages()
    assert len(shown) == 9
    for message in shown:
        for text in (message["content"], message.get("metadata", {}).get("title", "")):
            # The sign before a `<` says that it is shown, not taken.
            assert "<img" not in text.replace("\\<img", "")
            assert "![" not in re.sub("<pre.*?</pre>", "", text, flags=re.DOTALL)


def test_an_event_counts_once() -> None:
    made = transcript(customer("hi"), token("a"))
    made.add(TokenRecord("t", 2, token("a")))
    assert made.messages()[-1]["content"] == "a"


def test_only_the_tail_of_a_long_conversation_is_drawn() -> None:
    shown = contents(*[customer(f"m{number}") for number in range(MAX_SHOWN + 5)], DONE)
    assert shown[0] == EARLIER
    assert len(shown) == MAX_SHOWN + 1
    assert shown[1] == "m5"


def test_a_huge_result_is_cut_and_says_so() -> None:
    text = transcript(CALL, result(content="x" * 50_000), DONE).messages()[1]["content"]
    assert len(text) < 10_000
    assert "44000 more characters" in text


def test_what_is_shown_of_hostile_text_takes_no_time() -> None:
    runs = "".join("`" * length + "a" for length in range(1, 640))
    transcript = Transcript(title=str)
    transcript.add(TokenRecord("t", 1, Token(agent="a", content=runs[:200_000])))
    content = orjson.dumps([[1]] * 50_000).decode()
    result = ToolResult(agent="a", tool="t", tool_call_id="c", status="ok", content=content)
    transcript.add(Record("t", 2, result))
    began = time.process_time()
    shown = transcript.messages()
    # Both took more than 2 s before.
    assert time.process_time() - began < 1
    assert all("more characters. See the Replay tab" in one["content"] for one in (shown[1], shown[2]))


def test_a_card_shows_what_was_approved_and_whether_it_ran() -> None:
    edited = replace(decision("edited"), args={"order_id": "1043"}, summary="Cancel 1043")

    def card(*events: Event) -> str:
        shown = contents(customer("hi"), CALL, ASKED, *events)
        return unescape(next(text for text in shown if "ss-wait-head" in text))

    assert "Cancel 1043" in card(edited)
    assert "Cancel order 1042." not in card(edited)
    not_run = card(decision(), result("error", "The order was shipped."), DONE)
    assert "Approved, not carried out" in not_run
    assert "ss-chip--green" not in not_run
    assert "not carried out" not in card(decision(), result(), DONE)
