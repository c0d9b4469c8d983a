"""What if it had been decided otherwise: run again on a copy, and nothing real is touched."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, ToolMessage

from smart_support import Settings, clock, create_app
from smart_support.rehearsal.what_if import MAX_STEPS, rerun_range
from tests.support.harness import AppProcess, LocalApp, ScriptedModel


def _what_if(app: AppProcess, thread_id: str, approval_id: str, decision: str, **more: Any) -> Any:
    body = {"approval_id": approval_id, "decision": decision, **more}
    return app.post(f"/replay/{thread_id}/what-if", body)


def _until(found: Callable[[], Any]) -> Any:
    """What `found` gives once it is something: a turn goes on after a decision is durable."""
    deadline = time.monotonic() + 60
    while not (given_ := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)  # The end of a turn has no event over REST.
    return given_


def _marked(difference: list[dict[str, Any]], mark: str) -> list[tuple[str, str]]:
    told = ("status", "outcome", "content", "tool")
    return [
        (step["type"], next((str(step[name]) for name in told if step.get(name)), ""))
        for step in difference
        if step["mark"] == mark
    ]


def test_a_rejected_write_would_have_run_and_still_has_not(server: AppProcess, take_order: Any) -> None:
    order, thread_id = take_order("processing"), "what-if-rejected"
    server.post("/chat", {"thread_id": thread_id, "message": f"Where is my order {order}?"})
    asked = server.post("/chat", {"thread_id": thread_id, "message": f"cancel order {order}"}).json()["data"]
    approval_id = asked["approval"]["approval_id"]
    server.post(f"/approvals/{approval_id}/decision", {"decision": "reject", "reason": "packed already"})
    server.post("/chat", {"thread_id": thread_id, "message": "thank you"})
    before = server.get(f"/replay/{thread_id}")
    waited = server.get("/approvals", status="pending", limit=100)
    difference = _what_if(server, thread_id, approval_id, "approve").json()["data"]
    assert ("decision", "rejected") in _marked(difference, "then")
    assert ("decision", "approved") in _marked(difference, "now")
    assert ("tool_result", "rejected") in _marked(difference, "then")
    assert ("tool_result", "ok") in _marked(difference, "now")
    assert any(kind == "message" and "is cancelled" in words for kind, words in _marked(difference, "now"))
    assert ("tool_result", "ok") in _marked(difference, "same")
    assert server.get(f"/replay/{thread_id}") == before
    assert server.get("/approvals", status="pending", limit=100) == waited
    status = server.post("/chat", {"thread_id": "after", "message": f"Where is my order {order}?"})
    assert "processing" in status.json()["data"]["reply"]


def test_an_approved_write_would_not_have_run(server: AppProcess, take_order: Any) -> None:
    order, thread_id = take_order("changeable"), "what-if-approved"
    asked = server.post("/chat", {"thread_id": thread_id, "message": f"cancel order {order}"}).json()["data"]
    approval_id = asked["approval"]["approval_id"]
    server.post(f"/approvals/{approval_id}/decision", {"decision": "approve"})
    server.post("/chat", {"thread_id": thread_id, "message": "thank you"})
    refused = _what_if(server, thread_id, approval_id, "approve")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_request")
    assert _what_if(server, thread_id, "nobody", "reject").status_code == 404
    assert _what_if(server, "no-thread", approval_id, "reject").status_code == 404
    difference = _what_if(server, thread_id, approval_id, "reject", reason="too late").json()["data"]
    assert ("tool_result", "ok") in _marked(difference, "then")
    assert ("tool_result", "rejected") in _marked(difference, "now")
    assert any("too late" in str(step.get("reason")) for step in difference if step["mark"] == "now")


def test_a_decision_that_would_never_have_been_asked_for_is_none(server: AppProcess, take_order: Any) -> None:
    order, thread_id = take_order("changeable"), "what-if-two"
    message = f"cancel order {order} and make me a 30% coupon"
    first = server.post("/chat", {"thread_id": thread_id, "message": message}).json()["data"]["approval"]
    server.post(f"/approvals/{first['approval_id']}/decision", {"decision": "approve"})
    (second,) = _until(lambda: server.pending(thread_id))
    server.post(
        f"/approvals/{second['approval_id']}/decision",
        {"decision": "edit", "args": {"percent": 10}, "reason": "30% is too much"},
    )
    _until(lambda: server.get(f"/replay/{thread_id}")[-1]["type"] == "message_complete")
    answer = _what_if(server, thread_id, first["approval_id"], "reject", reason="not this one").json()
    assert answer["success"], answer["error"]
    assert ("decision", "rejected") in _marked(answer["data"], "now")
    assert ("decision", "edited") in _marked(answer["data"], "then")
    steps = server.get(f"/replay/{thread_id}")
    assert (answer["meta"]["first"], answer["meta"]["last"]) == (1, len(steps))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60), st.data())
def test_of_a_long_conversation_whole_turns_around_the_decision_are_run_again(
    turns: list[int], data: st.DataObject
) -> None:
    steps: list[dict[str, Any]] = []
    for length in turns:
        steps += [{"type": "message", "role": "customer"}, *[{"type": "route"}] * length]
    at = data.draw(st.sampled_from([place for place, step in enumerate(steps) if step["type"] == "route"]))
    steps[at] = {"type": "decision", "approval_id": "it"}
    first, last = rerun_range(steps, "it")
    assert first <= at < last
    assert last - first <= MAX_STEPS
    if len(steps) <= MAX_STEPS:
        assert (first, last) == (0, len(steps))
    assert steps[first].get("role") == "customer"
    assert last == len(steps) or steps[last].get("role") == "customer"


def test_what_was_refused_before_anybody_was_asked_is_refused_again(
    server: AppProcess, take_order: Any
) -> None:
    order, thread_id = take_order("delivered"), "what-if-refused"
    said = {"thread_id": thread_id, "message": f"cancel order {order} and make me a 10% coupon"}
    asked = server.post("/chat", said).json()["data"]["approval"]
    assert asked["action"] == "generate_coupon"  # what is delivered can't be cancelled: that was not asked
    server.post(f"/approvals/{asked['approval_id']}/decision", {"decision": "approve"})
    server.post("/chat", {"thread_id": thread_id, "message": "thank you"})
    difference = _what_if(server, thread_id, asked["approval_id"], "reject", reason="no").json()["data"]
    changed = [step for step in difference if step["mark"] != "same"]
    assert {step.get("tool") or step.get("action") for step in changed} <= {None, "generate_coupon"}
    assert ("tool_result", "rejected") in _marked(difference, "now")
    assert ("tool_result", "error") in _marked(difference, "same")


@pytest.fixture
def asked() -> list[str]:
    return []


def test_a_language_model_is_not_asked_again(data_dir: Path, asked: list[str]) -> None:
    def script(messages: list[Any], tools: list[Any]) -> AIMessage:
        asked.append(str(messages[-1].content))
        if [tool["function"]["name"] for tool in tools] == ["route"]:
            call = {"targets": [{"agent": "order_actions", "request": "x"}], "reason": "r"}
            return AIMessage("", tool_calls=[{"name": "route", "args": call, "id": clock.new_id()}])
        if isinstance(messages[-1], ToolMessage):
            return AIMessage("I have done what I could.")
        call = {"name": "cancel_order", "args": {"order_id": "1042"}, "id": clock.new_id()}
        return AIMessage("One moment.", tool_calls=[call])

    settings = Settings(data_dir=data_dir, model="openai:unreachable")
    with LocalApp(create_app(settings, chat_model=ScriptedModel(script=script))) as app:
        said = {"thread_id": "t", "message": "cancel it"}
        approval = app.request("POST", "/chat", json=said).json()["data"]["approval"]
        path = f"/approvals/{approval['approval_id']}/decision"
        app.request("POST", path, json={"decision": "approve"})
        app.request("POST", "/chat", json={"thread_id": "t", "message": "cancel it again"})
        times = len(asked)
        body = {"approval_id": approval["approval_id"], "decision": "reject", "reason": "no"}
        answer = app.request("POST", "/replay/t/what-if", json=body).json()
        assert len(asked) == times
    now = [step for step in answer["data"] if step["mark"] == "now"]
    assert any("Only a language model could continue" in str(step.get("content")) for step in now)
    assert ("message", "One moment.") in _marked(answer["data"], "same")
