"""SIGTERM in the middle of turns, with a real process and a model that takes its time."""

import asyncio
import contextlib
import os
import signal
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.support.harness import AppProcess, Client, of_type, spoken
from tests.support.slow_model import AGENTS, SlowModel, slow_model


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    path = tmp_path / "agents.yaml"
    path.write_text(AGENTS)
    return path


def _app(data_dir: Path, agents: Path, model: SlowModel, monkeypatch: Any, **settings: Any) -> AppProcess:
    for name, value in model.environment.items():
        monkeypatch.setenv(name, value)
    return AppProcess(data_dir, AGENTS_FILE=agents, MODEL="openai:slow", MODEL_PROFILE="openai", **settings)


async def _health(app: AppProcess, **params: Any) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.get(f"{app.url}/api/v1/health", params=params)
    return answer.status_code, answer.json()


async def _readiness(app: AppProcess, wanted: int) -> dict[str, Any]:
    """What it says, once it answers with this status."""
    while True:
        status, body = await _health(app, ready=1)
        if status == wanted:
            return body


async def _closed(client: Client) -> int | None:
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            await client.next()
    return client.connection.close_code


async def test_a_stop_lets_turns_end_takes_no_new_ones_and_then_closes_the_sockets(
    data_dir: Path, agents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with slow_model() as model:
        app = await asyncio.to_thread(_app(data_dir, agents, model, monkeypatch).start)
        assert (await _health(app, ready=1))[0] == 200
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="message", thread_id="t", content="Hello")
            await client.until("token")
            os.kill(app.process.pid, signal.SIGTERM)
            body = await _readiness(app, 503)
            assert body["status"] == "degraded"
            assert "begun" in body["checks"]["shutdown"]
            assert (await _health(app))[0] == 200
            await client.send(type="message", thread_id="other", content="Too late")
            refused = (await client.until("error"))[-1]
            assert (refused["code"], refused["thread_id"]) == ("shutting_down", "other")
            assert "again" in refused["message"]
            over_rest = await asyncio.to_thread(app.post, "/chat", {"message": "Too late as well"})
            assert (over_rest.status_code, over_rest.json()["error"]["code"]) == (503, "shutting_down")
            assert over_rest.headers["retry-after"] == "5"
            model.go_on.set()
            events = await client.until("message_complete")
            assert spoken(events) == " and last."
            assert await _closed(client) == 1012
        await asyncio.to_thread(app.process.join, 10)
        assert app.process.exitcode is not None
        assert "Traceback" not in app.log()


async def test_what_outlasts_the_grace_is_parked_and_finished_by_the_next_start(
    data_dir: Path, agents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with slow_model() as model:
        settings = {"SHUTDOWN_SECONDS": 0.3}
        app = await asyncio.to_thread(_app(data_dir, agents, model, monkeypatch, **settings).start)
        async with await Client.connect(app.ws_url) as client, httpx.AsyncClient(timeout=30) as http:
            rest = asyncio.create_task(
                http.post(f"{app.url}/api/v1/chat", json={"thread_id": "over-rest", "message": "Hello"})
            )
            await client.send(type="message", thread_id="t", content="Hello")
            before = await client.until("token")
            waits = {"content": "And this waits behind it", "message_id": str(uuid.uuid4())}
            await client.send(type="message", thread_id="t", **waits)
            await client.until("message_accepted")
            for _ in range(2):
                await model.asked.acquire()
            os.kill(app.process.pid, signal.SIGTERM)
            told = (await client.until("error"))[-1]
            assert told["code"] == "shutting_down"
            assert await _closed(client) == 1012
            answer = await rest
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
        await asyncio.to_thread(app.process.join, 10)
        assert app.log().count('"turn_parked"') == 3

        again = await asyncio.to_thread(_app(data_dir, agents, model, monkeypatch).start)
        try:
            status, body = await _health(again, ready=1)
            assert (status, body["status"]) == (503, "degraded")
            assert "2 interrupted conversations" in body["checks"]["recovery"]
            async with await Client.connect(again.ws_url) as client:
                await client.send(type="resume", thread_id="t", after=before[-1]["seq"])
                model.go_on.set()
                events = await client.until("message_complete")
            assert spoken(events).endswith("First and last.")
            assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
            said = of_type(again.get("/replay/t"), "message")
            assert [step["content"] for step in said if step["role"] == "customer"] == ["Hello"]
            assert set((await _readiness(again, 200))["checks"].values()) == {"ok"}
        finally:
            await asyncio.to_thread(again.stop)
