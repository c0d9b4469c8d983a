"""`MODEL=openai:NAME` against an OpenAI-compatible server on loopback: the same agents, gate and record."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from smart_support import Settings, create_app
from smart_support.agents.team import load_team
from smart_support.errors import ConfigError
from tests.support.harness import Client, LocalApp, of_type, spoken


class _Server(ThreadingHTTPServer):
    """Answers chat completions as a stream, from `answers`; keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.status = 200
        self.retry_after: str | None = None
        self.tells_usage = True

    def answer(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The deltas of one answer: route, then call, then say what came of it."""
        tools = [tool["function"]["name"] for tool in body.get("tools", [])]
        if tools == ["route"]:
            target = {"agent": "order_actions", "request": "cancel order 1042"}
            return _call("route", {"targets": [target], "reason": "It is about cancelling."})
        if body["messages"][-1]["role"] == "tool":
            return [
                {"content": "It is "},
                {"content": "done: "},
                {"content": body["messages"][-1]["content"][:200]},
            ]
        return _call("cancel_order", {"order_id": "1042", "reason": "asked"})


def _call(name: str, args: dict[str, Any]) -> list[dict[str, Any]]:
    text = json.dumps(args)
    first = {
        "index": 0,
        "id": f"call_{name}",
        "type": "function",
        "function": {"name": name, "arguments": text[:5]},
    }
    return [{"tool_calls": [first]}, {"tool_calls": [{"index": 0, "function": {"arguments": text[5:]}}]}]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.send_response(self.server.status)
        self.send_header(
            "Content-Type", "text/event-stream" if self.server.status == 200 else "application/json"
        )
        if self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
        self.end_headers()
        if self.server.status != 200:
            self.wfile.write(b'{"error": {"message": "key sk-secret is over its quota", "type": "quota"}}')
            return
        for delta in self.server.answer(body):
            self._send({"choices": [{"index": 0, "delta": delta}]})
        self._send({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if self.server.tells_usage:
            usage = {"prompt_tokens": 50, "completion_tokens": 7, "total_tokens": 57}
            self._send({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, chunk: dict[str, Any]) -> None:
        whole = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "some-model"} | chunk
        self.wfile.write(f"data: {json.dumps(whole)}\n\n".encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    running = _Server()
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{running.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none-needed")
    yield running
    running.shutdown()
    running.server_close()


async def test_a_language_model_drives_the_same_gate(server: _Server, data_dir: Path) -> None:
    prices = {"some": (100.0, 100.0), "some-model": (2.0, 10.0)}
    settings = Settings(data_dir=data_dir, model="openai:some-model", model_prices=prices)
    with LocalApp(create_app(settings)) as app:
        async with await Client.connect(app.ws_url) as client:
            asked = await client.turn("t", "cancel order 1042")
            assert asked[-1]["type"] == "interrupt"
            assert asked[-1]["args"] == {"order_id": "1042", "reason": "asked"}
            await client.send(type="interrupt_response", thread_id="t", approved=True)
            done = await client.until("message_complete")
        figures = app.request("GET", "/analytics", params={"range": "24h"}).json()["data"]
    assert len(of_type(done, "token")) == 3
    assert "is cancelled" in spoken(done)
    # Two calls before the approval, to route and to act, and one after it.
    assert asked[-1]["usage"] == {"input_tokens": 100, "output_tokens": 14, "cost_usd": 0.00034}
    assert done[-1]["usage"] == {"input_tokens": 50, "output_tokens": 7, "cost_usd": 0.00017}
    assert (figures["tokens"], figures["cost_usd"]) == ({"input": 150, "output": 21}, pytest.approx(0.00051))
    assert done[-1]["model"].startswith("some-model")
    system = server.asked[1]["messages"][0]["content"]
    assert "Hearth & Pine" in system
    manner = load_team(settings.agents_path).personality
    assert manner.tone in server.asked[0]["messages"][0]["content"]
    for words in (manner.tone, manner.greeting, manner.escalation_message):
        assert words in system
    assert system.endswith("Your part of the request: cancel order 1042")
    assert [message["role"] for message in server.asked[-1]["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
    ]


async def test_a_model_that_fails_is_told_plainly(server: _Server, data_dir: Path) -> None:
    server.status = 400
    with LocalApp(create_app(Settings(data_dir=data_dir, model="openai:some-model"))) as app:
        async with await Client.connect(app.ws_url) as client:
            error = (await client.turn("t", "cancel order 1042"))[-1]
            assert error["code"] == "model_error"
            assert "sk-secret" not in error["message"]
            assert "127.0.0.1" not in error["message"]
            server.status = 200
            assert (await client.turn("t", "cancel order 1042"))[-1]["type"] == "interrupt"


async def test_a_wait_that_nobody_has_time_for_is_not_begun(server: _Server, data_dir: Path) -> None:
    server.status = 429
    server.retry_after = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    began = time.monotonic()
    with LocalApp(create_app(Settings(data_dir=data_dir, model="openai:some-model"))) as app:
        async with await Client.connect(app.ws_url) as client:
            assert (await client.turn("t", "hello"))[-1]["code"] == "model_error"
    assert len(server.asked) == 1
    assert time.monotonic() - began < 25


async def test_tokens_that_nobody_counted_have_no_cost(server: _Server, data_dir: Path) -> None:
    server.tells_usage = False
    settings = Settings(data_dir=data_dir, model="openai:some-model", model_prices={"some": (1.0, 1.0)})
    with LocalApp(create_app(settings)) as app:
        async with await Client.connect(app.ws_url) as client:
            end = (await client.turn("t", "cancel order 1042"))[-1]
    assert end["usage"] == {"input_tokens": 0, "output_tokens": 0, "cost_usd": None}


def test_without_a_key_it_says_which_to_set(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        create_app(Settings(data_dir=data_dir, model="openai:some-model"))
