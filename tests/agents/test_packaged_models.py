"""A model behind a package of LangChain: streams in Anthropic's wire format through the real package.

The streams are of our own making; https://docs.claude.com/en/docs/build-with-claude/streaming has the format.
"""

import json
import threading
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from smart_support.agents.budget import Budget
from smart_support.agents.model_client import Models
from smart_support.agents.models import chat_models
from smart_support.settings import Settings
from tests.support.stores import state_of

# Only looked for: its import takes seconds.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("langchain_anthropic") is None, reason="the provider's package is missing"),
]

TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks up.",
        "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}},
    },
}
_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": []}
_USAGE = {"input_tokens": 41, "output_tokens": 1}


def _stream(reason: str, *blocks: tuple[dict[str, Any], list[dict[str, Any]]]) -> bytes:
    """The events of one answer: content blocks with their deltas."""
    events: list[dict[str, Any]] = [{"type": "message_start", "message": _MESSAGE | {"usage": _USAGE}}]
    for index, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    usage = {"input_tokens": 41, "output_tokens": 57}
    events.append({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage})
    events.append({"type": "message_stop"})
    return _sse(*events)


def _sse(*events: dict[str, Any]) -> bytes:
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events).encode()


def _text(*pieces: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces]


THOUGHT = (
    {"type": "thinking", "thinking": "", "signature": ""},
    [
        {"type": "thinking_delta", "thinking": "Look it up."},
        {"type": "signature_delta", "signature": "c2ln"},
    ],
)
CALL = (
    {"type": "tool_use", "id": "toolu_01", "name": "look_up", "input": {}},
    [
        {"type": "input_json_delta", "partial_json": '{"order_id": "10'},
        {"type": "input_json_delta", "partial_json": '42"}'},
    ],
)


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: deque[bytes] = deque()
        self.asked: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        answer = self.server.answers.popleft()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    server = _Server()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


class _Conversation:
    def __init__(self, folder: Path) -> None:
        async def escalate(*_: Any, **__: Any) -> bool:
            return False

        self.state = state_of(folder)
        settings = Settings(model="anthropic:claude-x")
        self._models = Models(chat_models(settings), Budget(settings, self.state, escalate, ""), 32_000)
        self.shown: list[str] = []
        self._history: list[AnyMessage] = [HumanMessage("Where is 1042?")]

    async def answer(self) -> AIMessage:
        self.shown = []
        answer = await self._models.ask("t", "You help.", self._history, [TOOL], show=self.shown.append)
        self._history.append(answer)
        self._history += [
            ToolMessage('{"status":"shipped"}', tool_call_id=call["id"], name=call["name"])
            for call in answer.tool_calls
        ]
        return answer


@pytest.fixture
def conversation(provider: _Server, tmp_path: Path) -> Iterator[_Conversation]:
    made = _Conversation(tmp_path)
    yield made
    made.state.close()


async def test_thoughts_words_and_a_call_go_where_they_belong(
    provider: _Server, conversation: _Conversation
) -> None:
    provider.answers += [_stream("tool_use", THOUGHT, _text("One ", "moment."), CALL)]
    provider.answers += [_stream("end_turn", _text("It is ", "shipped."))]
    first = await conversation.answer()
    assert (conversation.shown, first.additional_kwargs) == (
        ["One ", "moment."],
        {"reasoning": "Look it up."},
    )
    assert [(call["name"], call["args"]) for call in first.tool_calls] == [("look_up", {"order_id": "1042"})]
    assert first.usage_metadata == {"input_tokens": 41, "output_tokens": 57, "total_tokens": 98}
    assert first.response_metadata["model_name"] == "claude-x"
    await conversation.answer()
    assert conversation.shown == ["It is ", "shipped."]
    user, assistant, result = provider.asked[-1]["messages"]
    assert user == {"role": "user", "content": "Where is 1042?"}
    assert [block["type"] for block in assistant["content"]] == ["text", "tool_use"]
    assert assistant["content"][1]["id"] == result["content"][0]["tool_use_id"]
    assert "Look it up" not in json.dumps(provider.asked[-1]["messages"])


async def test_half_an_answer_is_known_to_be_half(provider: _Server, conversation: _Conversation) -> None:
    provider.answers += [_stream("max_tokens", _text("It is"))]
    assert (await conversation.answer()).response_metadata["incomplete"] == "length"


async def test_an_error_in_the_stream_is_asked_past(provider: _Server, conversation: _Conversation) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    provider.answers += [_sse(error), _stream("end_turn", _text("Hello."))]
    assert (await conversation.answer()).text == "Hello."


async def test_usage_without_the_tokens_of_the_request_is_only_a_part(
    provider: _Server, conversation: _Conversation
) -> None:
    provider.answers += [_stream("end_turn", _text("Hello.")).replace(b'"input_tokens": 41, ', b"")]
    assert (await conversation.answer()).response_metadata["usage_is_partial"]
