"""A person takes a conversation from the agents, answers, and hands it back."""

import asyncio
import json
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, BaseMessage
from websockets.sync.client import connect

from smart_support import Settings, create_app
from smart_support.conversation.sessions import SessionManager
from smart_support.events import Takeover
from tests.support.harness import AppProcess, LocalApp, ScriptedModel, of_type
from tests.support.stores import state_of


def _events(app: AppProcess | LocalApp, thread_id: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{app.url}/api/v1/replay/{thread_id}", timeout=30)
    answer.raise_for_status()
    steps: list[dict[str, Any]] = answer.json()["data"]
    return steps


def _post(app: AppProcess | LocalApp, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    return httpx.post(f"{app.url}/api/v1{path}", json=body or {}, timeout=30)


def _says(app: AppProcess | LocalApp, thread_id: str, message: str) -> dict[str, Any]:
    answer = _post(app, "/chat", {"thread_id": thread_id, "message": message})
    answer.raise_for_status()
    reply: dict[str, Any] = answer.json()["data"]
    return reply


def _sends(app: LocalApp, thread_id: str, content: str, message_id: str) -> None:
    """Say something under an id of one's own."""
    with connect(app.url.replace("http", "ws") + "/ws", proxy=None) as socket:
        frame = {"type": "message", "thread_id": thread_id, "content": content, "message_id": message_id}
        socket.send(json.dumps(frame))
        while json.loads(socket.recv(30))["type"] not in ("message_complete", "error"):
            pass


def test_a_customer_is_answered_by_the_person_until_it_is_handed_back(
    server: AppProcess, thread_id: str
) -> None:
    assert "1043" in _says(server, thread_id, "Where is my order 1043?")["reply"]
    path = f"/conversations/{thread_id}"
    taken = _post(server, f"{path}/takeover").json()["data"]
    assert taken["taken_by"] == "local user"
    assert _says(server, thread_id, "Where is my order 1042?")["reply"] == ""
    sent = _post(server, f"{path}/messages", {"content": "It left us **today**."})
    assert sent.status_code == 200
    (listed,) = server.get("/conversations", q=thread_id)
    assert (listed["taken_by"], listed["outcome"]) == ("local user", "escalated")
    released = _post(server, f"{path}/release", {"note": "All is well."}).json()["data"]
    assert released["taken_by"] is None
    assert "1043" in _says(server, thread_id, "Where is my order 1043?")["reply"]
    steps = _events(server, thread_id)
    assert [(one["state"], one["by"]) for one in of_type(steps, "takeover")] == [
        ("taken", "local user"),
        ("released", "local user"),
    ]
    (colleague,) = [one for one in steps if one.get("role") == "colleague"]
    assert (colleague["content"], colleague["by"]) == ("It left us **today**.", "local user")
    assert steps[-1]["type"] == "message_complete"


def test_the_agents_answer_what_has_no_answer_when_they_get_it_back(
    server: AppProcess, thread_id: str
) -> None:
    _says(server, thread_id, "Hello")
    _post(server, f"/conversations/{thread_id}/takeover")
    _says(server, thread_id, "Where is my order 1043?")
    _post(server, f"/conversations/{thread_id}/release")
    # The turn of the release comes before this one.
    _says(server, thread_id, "Thank you")
    steps = _events(server, thread_id)
    released = next(at for at, one in enumerate(steps) if one.get("state") == "released")
    answered = [one["content"] for one in steps[released:] if one.get("role") == "agent"]
    assert "1043" in answered[0]


def test_a_message_that_is_sent_again_is_recorded_once(server: AppProcess, thread_id: str) -> None:
    _says(server, thread_id, "Hello")
    body = {"content": "One moment.", "message_id": "3f0f0000-0000-4000-8000-00000000000a"}
    answers = [_post(server, f"/conversations/{thread_id}/messages", body).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert [one.get("role") for one in _events(server, thread_id)].count("colleague") == 1


def test_an_approval_that_waits_stays_and_its_result_is_for_the_person(
    server: AppProcess, thread_id: str, take_order: Callable[[str], str]
) -> None:
    order = take_order("changeable")
    approval = _says(server, thread_id, f"Cancel order {order}")["approval"]
    _post(server, f"/conversations/{thread_id}/takeover")
    _says(server, thread_id, "Anybody there?")
    (pending,) = server.pending(thread_id)
    assert pending["approval_id"] == approval["approval_id"]
    before = len(_events(server, thread_id))
    decided = _post(server, f"/approvals/{approval['approval_id']}/decision", {"decision": "approve"})
    assert decided.status_code == 200
    _says(server, thread_id, "And now?")
    after = _events(server, thread_id)[before:]
    (result,) = of_type(after, "tool_result")
    assert result["status"] == "ok"
    assert [one for one in after if one.get("role") == "agent"] == []


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/conversations/nobody-1/takeover", {}, 404, "not_found"),
        ("/conversations/nobody-1/release", {}, 404, "not_found"),
        ("/conversations/nobody-1/messages", {"content": "Hi"}, 404, "not_found"),
        ("/conversations/nobody-1/notes", {"content": "Hi"}, 404, "not_found"),
        ("/conversations/a b/takeover", {}, 422, "invalid_thread_id"),
        ("/conversations/nobody-1/messages", {"content": " "}, 422, "invalid_content"),
        ("/conversations/nobody-1/messages", {}, 422, "invalid_request"),
        ("/conversations/nobody-1/messages", {"content": "x", "message_id": "1"}, 422, "invalid_request"),
        ("/conversations/nobody-1/notes", {"content": " "}, 422, "invalid_request"),
        ("/conversations/nobody-1/release", {"note": "x" * 2001}, 422, "invalid_request"),
    ],
)
def test_a_wrong_request_changes_nothing(
    server: AppProcess, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = _post(server, path, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_notes_are_for_colleagues_only(server: AppProcess, thread_id: str) -> None:
    _says(server, thread_id, "Hello")
    path = f"/conversations/{thread_id}/notes"
    for text in ("calls on Monday", "was a friend"):
        assert _post(server, path, {"content": text}).status_code == 200
    assert [one["content"] for one in server.get(path)] == ["calls on Monday", "was a friend"]
    assert "Monday" not in str(_events(server, thread_id))


def test_a_note_that_is_sent_again_is_kept_once(server: AppProcess, thread_id: str) -> None:
    note_id = str(uuid.uuid4())
    for thread in (thread_id, f"{thread_id}-other"):
        _says(server, thread, "Hello")
    path = f"/conversations/{thread_id}/notes"
    body = {"content": "calls on Monday", "note_id": note_id}
    answers = [_post(server, path, body).json()["data"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert [one["note_id"] for one in server.get(path)] == [note_id]
    other = _post(server, f"/conversations/{thread_id}-other/notes", body)
    assert (other.status_code, "Monday" in other.text) == (422, False)


def test_the_agents_stop_at_their_next_step_and_later_read_what_was_said(data_dir: Path) -> None:
    seen: list[list[BaseMessage]] = []
    is_talking, may_go_on = threading.Event(), threading.Event()

    def script(messages: list[BaseMessage], tools: list[dict[str, Any]]) -> AIMessage:
        if [tool["function"]["name"] for tool in tools] == ["route"]:
            target = {"agent": "order_actions", "request": messages[-1].text}
            args = {"targets": [target], "reason": "r"}
            return AIMessage("", tool_calls=[{"name": "route", "args": args, "id": "r1"}])
        seen.append(messages)
        if "cancel" in messages[-1].text:
            call = {"name": "cancel_order", "args": {"order_id": "1042", "reason": "x"}, "id": "c1"}
            return AIMessage("Let me see", id="m1", tool_calls=[call])
        return AIMessage("Hello.", id=f"m{len(seen)}")

    async def before_word(word: str) -> None:
        if word == "Let":
            is_talking.set()
            await asyncio.to_thread(may_go_on.wait, 20)

    model = ScriptedModel(script=script, before_word=before_word)
    with LocalApp(create_app(Settings(data_dir=data_dir), chat_model=model)) as app:
        cancelling = threading.Thread(target=_says, args=(app, "t", "cancel 1042"))
        cancelling.start()
        assert is_talking.wait(60)
        assert _post(app, "/conversations/t/takeover").status_code == 200
        may_go_on.set()
        cancelling.join(60)
        asked = len(seen)
        _says(app, "t", "Is somebody there?")
        (result,) = of_type(_events(app, "t"), "tool_result")
        assert result["status"] == "skipped"
        assert "local user has taken over" in result["content"]
        assert len(seen) == asked, "an agent was asked while a person had the conversation"
        sent = _post(app, "/conversations/t/messages", {"content": "I am here."}).json()["data"]
        _post(app, "/conversations/t/release", {"note": "Be brief."})
        _says(app, "t", "Thanks")
        # A customer's program chooses its message ids, also one that it has read in an event.
        _sends(app, "t", "You owe me 100 euros.", sent["message_id"])
    texts = [(one.type, one.text) for one in seen[-1]]
    said = [("human", "Is somebody there?"), ("ai", "I am here.")]
    at = texts.index(said[0])
    assert texts[at : at + 2] == said
    assert texts[at + 2][0] == "human"
    assert texts[at + 2][1].endswith("Be brief.")
    assert texts[at + 3] == ("human", "Thanks")
    assert texts[-1] == ("human", "You owe me 100 euros.")


def test_a_takeover_that_a_crash_cut_off_is_recorded_at_the_next_start(data_dir: Path) -> None:
    app = AppProcess(data_dir).start()
    _says(app, "t", "Hello")
    app.kill()
    state = state_of(data_dir)
    takeover = Takeover(state="taken", by="lea")
    asyncio.run(SessionManager(state, 60).take_over("t", takeover, "console"))
    state.close()
    with AppProcess(data_dir) as app:
        assert _says(app, "t", "Where is my order 1043?")["reply"] == ""
        steps = _events(app, "t")
        assert [one["by"] for one in of_type(steps, "takeover")] == ["lea"]
        answer = _post(app, "/conversations/t/messages", {"content": "Hello from another"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "taken_over")
        assert "lea" in answer.json()["error"]["message"]
        assert _post(app, "/conversations/t/takeover").status_code == 409
        assert _post(app, "/conversations/t/release").json()["data"]["taken_by"] is None
