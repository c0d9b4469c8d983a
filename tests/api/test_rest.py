"""REST, spoken to over HTTP: the chat as one answer and as a stream, decisions, and every refusal."""

import asyncio
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from smart_support import Settings, create_app
from tests.support.harness import AppProcess, LocalApp

Take = Callable[[str], str]


def _say(server: AppProcess, thread_id: str, message: str) -> dict:
    answer = server.post("/chat", {"thread_id": thread_id, "message": message})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["success"], body["error"]) == (True, None)
    return body["data"]


def test_health_is_bare(server: AppProcess) -> None:
    answer = httpx.get(f"{server.url}/api/v1/health", timeout=60)
    body = answer.json()
    assert answer.status_code == 200
    assert body["status"] == "ok"
    assert set(body["checks"].values()) == {"ok"}


def test_a_whole_turn_is_one_answer(server: AppProcess, thread_id: str, take_order: Take) -> None:
    order = take_order("delivered")
    data = _say(server, thread_id, f"What is the status of order {order}?")
    assert (data["status"], data["thread_id"]) == ("complete", thread_id)
    assert order in data["reply"]
    assert data["tool_calls"][0]["tool"] == "get_order_status"
    assert data["tool_calls"][0]["status"] == "ok"


def test_a_thread_is_made_where_none_is_named(server: AppProcess) -> None:
    data = server.post("/chat", {"message": "hello"}).json()["data"]
    assert len(data["thread_id"]) == 36


def test_a_write_waits_and_runs_after_the_decision(
    server: AppProcess, thread_id: str, take_order: Take
) -> None:
    order = take_order("processing")
    data = _say(server, thread_id, f"Cancel order {order}")
    assert data["status"] == "awaiting_approval"
    approval = data["approval"]
    assert approval["args"]["order_id"] == order
    assert approval["status"] == "pending"
    assert {"field": "status", "before": "processing", "after": "cancelled"}.items() <= approval["effect"][
        0
    ].items()
    decided = server.post(f"/approvals/{approval['approval_id']}/decision", {"decision": "approve"})
    assert decided.json()["data"]["status"] == "approved"
    status = _say(server, thread_id, f"What is the status of order {order}?")
    assert status["tool_calls"][0]["result"]["status"] == "cancelled"


def test_the_events_come_as_a_stream_when_asked_for(
    server: AppProcess, thread_id: str, take_order: Take
) -> None:
    body = {"thread_id": thread_id, "message": f"status of order {take_order('delivered')}"}
    events = []
    with httpx.stream(
        "POST", f"{server.url}/api/v1/chat", json=body, headers={"Accept": "text/event-stream"}, timeout=30
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                events.append(orjson.loads(line[6:]))
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "message_complete"
    steps = server.get(f"/replay/{thread_id}")
    assert steps[-1]["seq"] == events[-1]["seq"]
    assert "".join(e["content"] for e in events if e["type"] == "token") == "".join(
        step["content"] for step in steps if step["type"] == "message" and step["role"] == "agent"
    )


def test_the_first_of_many_decisions_wins(server: AppProcess, thread_id: str, take_order: Take) -> None:
    approval_id = _say(server, thread_id, f"Cancel order {take_order('processing')}")["approval"][
        "approval_id"
    ]

    async def race() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=30) as client:
            url = f"{server.url}/api/v1/approvals/{approval_id}/decision"
            return await asyncio.gather(
                *(client.post(url, json={"decision": word}) for word in ["approve", "reject"] * 4)
            )

    answers = asyncio.run(race())
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    refusal = next(answer.json()["error"] for answer in answers if answer.status_code == 409)
    assert refusal["code"] == "already_decided"
    assert "local user" in refusal["message"]
    final = server.get(f"/approvals/{approval_id}")
    winner = next(answer.json()["data"] for answer in answers if answer.status_code == 200)
    assert final["status"] == winner["status"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/chat", {"message": ""}, 422, "invalid_content"),
        ("/chat", {"message": "x" * 10_001}, 422, "invalid_content"),
        ("/chat", {"message": "hi", "thread_id": "no spaces"}, 422, "invalid_thread_id"),
        ("/chat", {}, 422, "invalid_request"),
        ("/chat", [], 422, "invalid_request"),
        ("/approvals/none/decision", {"decision": "approve"}, 404, "not_found"),
        ("/approvals/none/decision", {"decision": "maybe"}, 422, "invalid_request"),
        ("/nowhere", {}, 404, "not_found"),
        ("/analytics", {}, 405, "method_not_allowed"),
    ],
)
def test_a_bad_request_is_explained(
    server: AppProcess, path: str, body: object, status: int, code: str
) -> None:
    answer = server.post(path, body)
    assert answer.status_code == status
    error = answer.json()
    assert (error["success"], error["data"], error["error"]["code"]) == (False, None, code)
    assert error["error"]["message"]


def test_what_a_route_does_not_take_is_told_with_what_it_takes(server: AppProcess) -> None:
    described = httpx.get(f"{server.url}/api/v1/openapi.json", timeout=60).json()["paths"]
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for path, operations in described.items():
            taken = {method.upper() for method in operations}
            for method in {"PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"} - taken:
                answer = client.request(method, re.sub(r"\{\w+\}", "x", path))
                assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
                # HEAD is of health alone, and undescribed: it has no answer of its own.
                assert {*answer.headers["Allow"].split(", ")} - {"HEAD"} == taken, (method, path)


def test_a_body_that_is_not_json_is_explained(server: AppProcess) -> None:
    answer = httpx.post(
        f"{server.url}/api/v1/chat",
        content=b"{oops",
        headers={"Content-Type": "application/json"},
        timeout=60,
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


def test_an_edit_that_does_not_fit_names_the_field(
    server: AppProcess, thread_id: str, take_order: Take
) -> None:
    approval = _say(server, thread_id, f"Cancel order {take_order('processing')}")["approval"]
    path = f"/approvals/{approval['approval_id']}/decision"
    answer = server.post(path, {"decision": "edit", "args": approval["args"] | {"order_id": 1}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_arguments")
    assert "order_id" in answer.json()["error"]["message"]
    assert server.post(path, {"decision": "edit"}).status_code == 422
    assert server.get(f"/approvals/{approval['approval_id']}")["status"] == "pending"


def test_a_page_of_another_site_changes_nothing(server: AppProcess) -> None:
    answer = httpx.post(
        f"{server.url}/api/v1/chat",
        json={"message": "hi"},
        headers={"Origin": "https://evil.example"},
        timeout=60,
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    own = httpx.post(
        f"{server.url}/api/v1/chat", json={"message": "hi"}, headers={"Origin": server.url}, timeout=60
    )
    assert own.status_code == 200


def test_everything_is_described(server: AppProcess) -> None:
    paths = httpx.get(f"{server.url}/api/v1/openapi.json", timeout=60).json()["paths"]
    expected = {"health", "chat", "conversations", "approvals", "analytics", "agents", "tools"}
    assert {path.split("/")[3] for path in paths} >= expected


def test_tools_say_what_they_may_do(server: AppProcess) -> None:
    access = {tool["name"]: tool["access"] for tool in server.get("/tools")}
    assert access["cancel_order"] == access["generate_coupon"] == "write"
    assert access["get_order_status"] == "read"
    assert [agent["name"] for agent in server.get("/agents")] == [
        "order_lookup",
        "order_actions",
        "discount",
        "fallback",
    ]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("a fault"), 500, "internal_error"),
        (sqlite3.OperationalError("disk I/O"), 503, "storage_error"),
    ],
)
def test_a_client_knows_that_an_unexpected_error_ends_its_connection(
    error: Exception, status: int, code: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would send its next request on it otherwise, and not know whether that was carried out."""
    app = create_app(Settings(data_dir=data_dir, rate_limit="1000/1s"))
    with LocalApp(app) as local, httpx.Client(base_url=f"{local.url}/api/v1") as client:

        async def fail(**_: Any) -> None:
            raise error

        monkeypatch.setattr(app.state.services.escalations, "list", fail)
        for _ in range(20):
            answer = client.get("/escalations")
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
            assert answer.headers["connection"] == "close"
            assert client.get("/health").status_code == 200
