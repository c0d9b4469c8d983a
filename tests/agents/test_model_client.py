"""Language models that fail as real ones do: the app in its process, llmock behind its OPENAI_BASE_URL.

One agent, so that each answer is one request. `first` is the model, `second` the fallback at an address of
its own (llmock tells them apart as the providers `openai` and `groq`).
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llmock.pytest_plugin import LLMock
from llmock.scenarios import Match, Reply, StreamFault
from llmock.testing import LLMockServer

from smart_support import Settings, create_app
from tests.support.harness import AppProcess, Client, LocalApp, demo_orders, of_type, spoken

KEY = "sk-live-0123456789"
AGENTS = """
company: Hearth & Pine
fallback: desk
personality: {tone: dry, greeting: Well met., escalation_message: Somebody with a pulse takes over.}
agents:
  - {name: desk, title: Desk, description: All of it., tools: [get_order_status, cancel_order]}
"""
CANCEL = ("cancel_order", {"order_id": "1042", "reason": "changed my mind"})
SETTINGS = {
    "MODEL": "openai:first",
    "FALLBACK_MODEL": "openai:second",
    "FALLBACK_SECONDS": 0,
    "MODEL_TIMEOUT_SECONDS": 2,
    "MODEL_CONTEXT_TOKENS": 1000,
    "MODEL_PRICES": '{"first": [1.0, 1.0], "second": [1000.0, 1000.0]}',
}


def _app(mock: LLMockServer, folder: Path, **settings: Any) -> AppProcess:
    agents = folder / "agents.yaml"
    agents.write_text(AGENTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", mock.base_url("openai"))
        patch.setenv("OPENAI_API_KEY", KEY)
        other = {"FALLBACK_BASE_URL": mock.base_url("groq"), "FALLBACK_API_KEY": f"{KEY}-other"}
        return AppProcess(folder / "var", AGENTS_FILE=agents, **SETTINGS | other | settings)


@pytest.fixture(scope="module")
def app(llmock_server: LLMockServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with _app(llmock_server, tmp_path_factory.mktemp("faults")) as running:
        yield running


async def _say(app: AppProcess, thread_id: str, text: str = "cancel order 1042") -> list[dict[str, Any]]:
    async with await Client.connect(app.ws_url) as client:
        return await client.turn(thread_id, text)


def _asked(llmock: LLMock) -> list[str]:
    """Which model each request was for."""
    return [str(request.model) for request in llmock.requests]


async def test_what_will_pass_is_waited_for(app: AppProcess, llmock: LLMock, thread_id: str) -> None:
    llmock.fail(500).rate_limit(retry_after=0.3).reply("Here you are.")
    events = await _say(app, thread_id)
    assert spoken(events).strip() == "Here you are."
    assert _asked(llmock) == ["first"] * 3
    llmock.assert_resilient(strict=True)


async def test_what_takes_too_long_goes_to_the_fallback_at_its_own_price(
    app: AppProcess, llmock: LLMock, thread_id: str
) -> None:
    llmock.fail(429, retry_after=60, model="first").reply("From the other one.")
    end = (events := await _say(app, thread_id))[-1]
    assert spoken(events).strip() == "From the other one."
    assert _asked(llmock) == ["first", "second"]
    used = end["usage"]["input_tokens"] + end["usage"]["output_tokens"]
    assert end["model"] == "second"
    assert end["usage"]["cost_usd"] == pytest.approx(used / 1000)
    assert app.get(f"/replay/{thread_id}")[-1]["model"] == "second"


async def test_a_model_that_is_down_is_not_waited_for_each_time_anew(
    llmock: LLMock, data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "agents.yaml").write_text(AGENTS)
    names = {"model": "openai:first", "fallback_model": "openai:second"}
    settings = Settings(data_dir=data_dir, agents_file=tmp_path / "agents.yaml", **names)
    llmock.fail(503, retry_after=60, model="first", times=2).reply("Here.", times=4)
    with LocalApp(create_app(settings)) as app:
        async with await Client.connect(app.ws_url) as client:
            for _ in range(3):
                assert spoken(await client.turn("t", "hello")).strip() == "Here."
    assert _asked(llmock) == ["first", "second", "second", "second"]


@pytest.mark.parametrize("fault", ["disconnect", "truncate", "malformed"])
async def test_a_stream_that_breaks_before_a_word_is_asked_for_once_more(
    app: AppProcess, llmock: LLMock, thread_id: str, fault: str
) -> None:
    llmock.add(StreamFault(fault, after_chunks=1)).reply("Once only.", times=2)
    assert spoken(await _say(app, thread_id)).strip() == "Once only."
    assert _asked(llmock) == ["first", "first"]


async def test_thinking_up_to_the_limit_is_no_answer(app: AppProcess, llmock: LLMock, thread_id: str) -> None:
    thinking = Reply(text="", finish_reason="length", match=Match(model="first"), times=2)
    llmock.add(thinking).reply("From the other one.")
    assert spoken(await _say(app, thread_id)).strip() == "From the other one."
    assert _asked(llmock) == ["first", "first", "second"]
    assert {request.body["max_completion_tokens"] for request in llmock.requests} == {4000}


@pytest.mark.parametrize("fault", ["disconnect", "truncate", "stall"])
async def test_what_was_shown_stays_and_is_not_said_again(
    app: AppProcess, llmock: LLMock, thread_id: str, fault: str
) -> None:
    llmock.add(StreamFault(fault, after_chunks=3, stall_seconds=60)).reply("One two three four.", times=2)
    error = (events := await _say(app, thread_id))[-1]
    assert (error["type"], error["code"]) == ("error", "model_error")
    assert "cut off" in error["message"]
    assert "send your message again" in error["message"]
    assert spoken(events).split() == ["One", "two"]
    steps = app.get(f"/replay/{thread_id}")
    assert [step["content"].split() for step in steps if step.get("role") == "agent"] == [["One", "two"]]
    assert _asked(llmock) == ["first"]
    assert spoken(await _say(app, thread_id)).strip() == "One two three four."


async def test_half_a_tool_call_never_acts(app: AppProcess, llmock: LLMock, thread_id: str) -> None:
    # What has come of the arguments when it breaks off is `{"order_id": "1042", "reas`.
    broken = StreamFault("truncate", after_chunks=4, times=4)
    llmock.add(broken).call_tool(*CANCEL, times=4)
    error = (events := await _say(app, thread_id))[-1]
    assert error["code"] == "model_error"
    assert not of_type(events, "tool_call")
    assert app.pending(thread_id) == []
    assert _asked(llmock) == ["first", "first", "second", "second"]
    llmock.reset().call_tool(*CANCEL)
    assert (await _say(app, thread_id))[-1]["args"] == CANCEL[1]


async def test_what_was_approved_is_told_though_no_model_can_say_it(
    app: AppProcess, llmock: LLMock, thread_id: str
) -> None:
    llmock.call_tool("cancel_order", {"order_id": next(demo_orders("processing")), "reason": "asked"})
    async with await Client.connect(app.ws_url) as client:
        assert (await client.turn(thread_id, "cancel it"))[-1]["type"] == "interrupt"
        llmock.fail(400, times=2)
        await client.send(type="interrupt_response", thread_id=thread_id, approved=True)
        error = (await client.until("error"))[-1]
    assert error["message"].startswith("Cancel order: done. The language model could not say more")


async def test_a_call_that_is_not_json_is_answered_and_put_right(
    app: AppProcess, llmock: LLMock, thread_id: str
) -> None:
    llmock.call_tool(*CANCEL).break_tool_call().call_tool(*CANCEL)
    events = await _say(app, thread_id)
    assert [one["status"] for one in of_type(events, "tool_result")] == ["error"]
    assert "unreadable" in of_type(events, "tool_call")[0]["args"]
    answered = llmock.last_request.body["messages"][-1]
    assert answered["role"] == "tool"
    assert "not a JSON object" in answered["content"]
    assert events[-1]["type"] == "interrupt"
    assert events[-1]["args"] == CANCEL[1]
    assert len(app.pending(thread_id)) == 1


@pytest.mark.parametrize("after_chunks", [0, 3])
async def test_a_stall_of_a_minute_is_not_waited_for(
    app: AppProcess, llmock: LLMock, thread_id: str, after_chunks: int
) -> None:
    stall = {"after_chunks": after_chunks, "stall_seconds": 60, "match": Match(provider="openai")}
    llmock.add(StreamFault("stall", times=None, **stall)).call_tool(*CANCEL, times=2)
    began = time.monotonic()
    assert (await _say(app, thread_id))[-1]["type"] == "interrupt"
    assert time.monotonic() - began < 20
    assert app.get(f"/replay/{thread_id}")[-1]["model"] == "second"


async def test_a_refused_key_is_told_to_the_log_alone_and_without_the_key(
    app: AppProcess, llmock: LLMock, thread_id: str
) -> None:
    llmock.fail(401, message=f"Incorrect key {KEY} for http://gate.internal/v1", times=None)
    error = (await _say(app, thread_id))[-1]
    assert error["code"] == "model_error"
    assert "send it again" in error["message"]
    told = f"{error} {app.get(f'/replay/{thread_id}')}"
    assert not [word for word in (KEY, "internal", "127.0.0.1", "Traceback", "openai") if word in told]
    assert "Incorrect key *** for" in app.log()
    assert KEY not in app.log()
    assert _asked(llmock) == ["first", "second"]


async def test_a_long_conversation_is_cut_between_its_steps(
    app: AppProcess, llmock: LLMock, thread_id: str
) -> None:
    for number in range(4):
        llmock.call_tool("get_order_status", {"order_id": "1042"}).reply("Known.")
        await _say(app, thread_id, f"question {number} {'on and on ' * 90}")
    messages = llmock.last_request.body["messages"]
    assert [one["role"] for one in messages[:1]] == ["system"]
    asked = [one["content"][:10] for one in messages if one["role"] == "user"]
    assert "question 0" not in asked
    assert asked[-1] == "question 3"
    open_calls: set[str] = set()
    for message in messages:
        open_calls |= {call["id"] for call in message.get("tool_calls") or ()}
        if message["role"] == "tool":
            open_calls.remove(message["tool_call_id"])
    assert not open_calls
    for words in ("Tone: dry", "Greeting: Well met.", "handing over to a human: Somebody with a pulse"):
        assert words in messages[0]["content"]


async def test_a_spent_budget_calls_a_human_and_lets_what_was_approved_run(
    llmock_server: LLMockServer, llmock: LLMock, tmp_path: Path, thread_id: str
) -> None:
    app = _app(llmock_server, tmp_path, BUDGET_TOKENS_PER_CONVERSATION=1)
    llmock.call_tool(*CANCEL)
    with app:
        async with await Client.connect(app.ws_url) as client:
            assert (await client.turn(thread_id, "cancel order 1042"))[-1]["type"] == "interrupt"
            await client.send(type="interrupt_response", thread_id=thread_id, approved=True)
            events = await client.until("message_complete")
        app.kill()
    assert [one["status"] for one in of_type(events, "tool_result")] == ["ok"]
    assert spoken(events).startswith("Cancel order: done.")
    assert "Somebody with a pulse takes over." in spoken(events)
    assert "1 tokens for this conversation" in of_type(events, "escalation")[0]["reason"]
    assert len(llmock.requests) == 1

    again = _app(llmock_server, tmp_path, BUDGET_TOKENS_PER_CONVERSATION=1, BUDGET_USD_PER_DAY=0.000001)
    with again:
        refused = await _say(again, thread_id, "hello")
        assert "for this conversation" in of_type(refused, "escalation")[0]["reason"]
        other = await _say(again, f"{thread_id}-other", "hello")
        assert "for today" in of_type(other, "escalation")[0]["reason"]
        assert "a colleague has been told" in spoken(other)
        assert other[-1]["type"] == "message_complete"
        told = again.get("/escalations")
    assert len(told) == 2
    assert len(llmock.requests) == 1
