"""OpenAI's Responses API: encrypted reasoning goes back, edited arguments do, and half an answer is known."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from smart_support.agents.budget import Budget
from smart_support.agents.model_client import Models
from smart_support.agents.models import chat_models
from smart_support.settings import Settings
from tests.support.stores import state_of
from tests.support.strict_provider import StrictProvider

REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VjcmV0"}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "cancel_order",
    "arguments": '{"order_id": "1042"}',
    "status": "completed",
}
TEXT = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Half", "annotations": []}],
}


def _events(*output: dict[str, Any], status: str = "completed", why: str | None = None) -> bytes:
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "status": "in_progress",
    }
    done = {
        **response,
        "output": list(output),
        "status": status,
        "incomplete_details": {"reason": why} if why else None,
        "usage": {
            "input_tokens": 5,
            "output_tokens": 4,
            "total_tokens": 9,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }
    events: list[dict[str, Any]] = [{"type": "response.created", "response": response}]
    for place, item in enumerate(output):
        at = {"output_index": place, "item_id": item["id"]}
        begun = item | ({"arguments": ""} if item is CALL else {"content": []} if item is TEXT else {})
        events.append({"type": "response.output_item.added", "item": begun, **at})
        if item is CALL:
            delta = {"type": "response.function_call_arguments.delta", "delta": item["arguments"]}
            events.append(delta | at)
        if item is TEXT:
            events.append(
                {
                    "type": "response.output_text.delta",
                    "delta": "Half",
                    "content_index": 0,
                    "logprobs": [],
                    **at,
                }
            )
        events.append({"type": "response.output_item.done", "item": item, **at})
    events.append({"type": f"response.{status}", "response": done})
    lines = [
        f"event: {event['type']}\ndata: {json.dumps(event | {'sequence_number': number})}\n\n"
        for number, event in enumerate(events)
    ]
    return "".join(lines).encode()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictProvider]:
    running = StrictProvider().start()
    monkeypatch.setenv("OPENAI_BASE_URL", running.url)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    yield running
    running.stop()


@pytest.fixture
def models(provider: StrictProvider, tmp_path: Path) -> Iterator[Models]:
    async def escalate(*_: Any, **__: Any) -> bool:
        return False

    settings, state = Settings(model="openai:m", model_profile="openai_responses"), state_of(tmp_path)
    yield Models(chat_models(settings), Budget(settings, state, escalate, ""), 32_000)
    state.close()


@pytest.mark.slow
async def test_reasoning_and_edited_arguments_go_back(provider: StrictProvider, models: Models) -> None:
    provider.answers.extend([_events(REASONING, CALL), _events(TEXT)])
    asked = HumanMessage("cancel 1042")
    answer = await models.ask("t", "prompt", [asked])
    assert answer.tool_calls[0]["args"] == {"order_id": "1042"}
    edited = answer.model_copy(update={"tool_calls": [answer.tool_calls[0] | {"args": {"order_id": "1043"}}]})
    result = ToolMessage("cancelled", tool_call_id="call_1")
    await models.ask("t", "prompt", [asked, edited, result])
    sent = provider.asked[-1]["input"]
    assert [item.get("type") for item in sent[-3:]] == ["reasoning", "function_call", "function_call_output"]
    assert sent[-3]["encrypted_content"] == "c2VjcmV0"
    assert json.loads(sent[-2]["arguments"]) == {"order_id": "1043"}
    assert "1042" not in json.dumps(sent[2:])
    assert provider.asked[-1]["store"] is False
    assert provider.asked[-1]["include"] == ["reasoning.encrypted_content"]


@pytest.mark.parametrize(
    ("why", "reason"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
async def test_half_an_answer_is_known(
    provider: StrictProvider, models: Models, why: str, reason: str
) -> None:
    provider.answers.append(_events(TEXT, status="incomplete", why=why))
    answer = await models.ask("t", "prompt", [HumanMessage("hello")])
    assert (answer.text, answer.response_metadata["incomplete"]) == ("Half", reason)


async def test_reasoning_does_not_go_to_other_providers(
    provider: StrictProvider, tmp_path: Path, models: Models
) -> None:
    provider.answers.append(_events(REASONING, CALL))
    asked = HumanMessage("cancel 1042")
    answer: AIMessage = await models.ask("t", "prompt", [asked])

    async def escalate(*_: Any, **__: Any) -> bool:
        return False

    settings, state = Settings(model="openai:m", model_profile="mistral"), state_of(tmp_path / "other")
    provider.call_id = "[A-Za-z0-9]{9}"
    other = Models(chat_models(settings), Budget(settings, state, escalate, ""), 32_000)
    await other.ask("t", "prompt", [asked, answer, ToolMessage("cancelled", tool_call_id="call_1")])
    state.close()
    assert provider.refused == []
