"""A language model behind an OpenAI-compatible server proposes words for an import, and nothing but words."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from smart_support import Settings, create_app
from tests.support.harness import AppProcess, LocalApp
from tests.support.import_jobs import loaded
from tests.support.shop_api import description


class _Model(ThreadingHTTPServer):
    """Calls `propose` with what `says` holds; keeps what it was asked. With a `status` it fails."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.says: Any = []
        self.status = 200


class _Handler(BaseHTTPRequestHandler):
    server: _Model

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        call = {"name": "propose", "arguments": json.dumps({"operations": self.server.says})}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": call}],
        }
        answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "some-model"}
        answer["choices"] = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Model]:
    running = _Model()
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{running.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none-needed")
    yield running
    running.shutdown()
    running.server_close()


def _reviewed(app: LocalApp) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What came of asking for words, and the operations afterwards."""
    spec = {"spec": description("https://desk.example")}
    job = app.request("POST", "/openapi/import", json=spec).json()["data"]
    path = f"/openapi/jobs/{job['job_id']}"
    assert loaded(lambda: app.request("GET", path).json()["data"])["can_be_worded"]
    answer = app.request("POST", f"{path}/words", json={}).json()
    listed = app.request("GET", f"{path}/operations").json()["data"]
    return answer, {one["key"]: one for one in listed}


def _proposal(key: str, name: str, agent: str = "desk", words: str = "Better words.") -> dict[str, Any]:
    return {"key": key, "tool_name": name, "agent": agent, "description": words}


async def test_words_are_proposed_by_group_and_never_another_access(model: _Model, data_dir: Path) -> None:
    model.says = [
        _proposal("list_tickets", "find_open_tickets") | {"access": "write", "enabled": False},
        _proposal("delete_ticket", "get_ticket_away") | {"access": "read", "needs_approval": False},
        _proposal("create_ticket", "Not A Name", agent="Not an agent"),
        _proposal("get_ticket", "list_tickets", words=" "),
        _proposal("search_tickets", "cancel_order"),
        _proposal("no_such", "no_such"),
        "nonsense",
    ]
    with LocalApp(create_app(Settings(data_dir=data_dir, model="openai:some-model"))) as app:
        answer, found = _reviewed(app)
    assert answer["data"]["changed"] == [
        "list_tickets",
        "delete_ticket",
        "create_ticket",
        "get_ticket",
        "search_tickets",
    ]
    worded = found["list_tickets"]
    assert (worded["tool_name"], worded["agent"], worded["description"]) == (
        "find_open_tickets",
        "desk",
        "Better words.",
    )
    assert (worded["access"], worded["enabled"]) == ("read", True)
    assert "the rules' proposal was list_tickets, agent tickets" in worded["reasons"][-1]
    deletes = found["delete_ticket"]
    assert (deletes["tool_name"], deletes["access"], deletes["needs_approval"]) == (
        "delete_ticket",
        "write",
        True,
    )
    assert (found["create_ticket"]["tool_name"], found["create_ticket"]["agent"]) == (
        "create_ticket",
        "tickets",
    )
    assert (found["get_ticket"]["tool_name"], found["get_ticket"]["agent"]) == ("get_ticket", "desk")
    assert found["search_tickets"]["tool_name"] == "search_tickets", "a name of a tool that there is"
    assert found["delete_all_tickets"]["agent"] == "tickets"
    (asked,) = model.asked
    shown = json.loads(asked["messages"][1]["content"])
    assert {one["key"] for one in shown} == set(found)


async def test_what_a_model_gets_wrong_or_fails_at_is_left_as_it_was(model: _Model, data_dir: Path) -> None:
    wrong: list[Any] = [None, "text", {"a": 1}, [None, 3, {"key": 4}]]
    with LocalApp(create_app(Settings(data_dir=data_dir, model="openai:some-model"))) as app:
        for model.status, model.says in [*((200, says) for says in wrong), (400, [])]:
            answer, found = _reviewed(app)
            assert answer["data"] == {"changed": []}
            assert found["list_tickets"]["tool_name"] == "list_tickets"


def test_the_embedded_model_is_not_called(server: AppProcess) -> None:
    spec = {"spec": description("https://desk.example")}
    job = server.post("/openapi/import", spec).json()["data"]
    refused = server.post(f"/openapi/jobs/{job['job_id']}/words", {})
    assert refused.status_code == 409
    assert "SMART_SUPPORT_MODEL=openai:NAME" in refused.json()["error"]["message"]
