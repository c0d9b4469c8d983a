"""More messages than turns that may run at once: they wait in rotation, and decisions go ahead of them."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from prometheus_client.parser import text_string_to_metric_families

from smart_support import Settings, clock, create_app
from tests.support.harness import Client, LocalApp, ScriptedModel, of_type

AGENTS = """\
company: Full
fallback: only
agents:
  - {name: only, title: Only, description: Cancels orders., tools: [get_order_status, cancel_order]}
"""


class _Model:
    """Cancels an order when told to; to every other message it says a word that `go_on` holds back."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.answered: list[str] = []

    def script(self, messages: list[BaseMessage], _: Any) -> AIMessage:
        content = str(messages[-1].content)
        if isinstance(messages[-1], ToolMessage):
            return AIMessage("Settled.")
        if content.startswith("Cancel"):
            args = {"order_id": content.rsplit(maxsplit=1)[-1], "reason": "changed_mind"}
            return AIMessage("", tool_calls=[{"name": "cancel_order", "args": args, "id": clock.new_id()}])
        self.answered.append(content)
        return AIMessage("Held.")

    async def before_word(self, word: str) -> None:
        if word == "Held.":
            await asyncio.to_thread(self.go_on.wait, 60)


@pytest.fixture
def model() -> _Model:
    return _Model()


@pytest.fixture
def full(tmp_path: Path, data_dir: Path, model: _Model, request: pytest.FixtureRequest) -> Iterator[LocalApp]:
    """An app with a single place."""
    agents = tmp_path / "agents.yaml"
    agents.write_text(AGENTS)
    settings = Settings(
        data_dir=data_dir, agents_file=agents, max_turns=1, turn_wait_seconds=getattr(request, "param", 60)
    )
    chat_model = ScriptedModel(script=model.script, before_word=model.before_word)
    with LocalApp(create_app(settings, chat_model=chat_model)) as app:
        yield app
        model.go_on.set()


def _metric(app: LocalApp, name: str) -> float:
    families = text_string_to_metric_families(app.request("GET", "/metrics").text)
    return next(one.value for family in families for one in family.samples if one.name == name)


async def _send(client: Client, thread_id: str) -> dict[str, Any]:
    """Send a message, the thread's name; the answer that it is accepted."""
    await client.send(type="message", thread_id=thread_id, content=thread_id, message_id=clock.new_id())
    return (await client.until("message_accepted", thread_id=thread_id))[-1]


async def test_connections_get_places_in_rotation(full: LocalApp, model: _Model) -> None:
    async with await Client.connect(full.ws_url) as busy, await Client.connect(full.ws_url) as other:
        assert "waiting" not in await _send(busy, "busy-1")
        for name in ("busy-2", "busy-3"):
            assert (await _send(busy, name))["waiting"] is True
        assert (await _send(other, "other-1"))["waiting"] is True
        assert await asyncio.to_thread(_metric, full, "smart_support_turns_waiting") == 3
        assert (await asyncio.to_thread(full.request, "GET", "/health")).status_code == 200
        model.go_on.set()
        await busy.until("message_complete", thread_id="busy-3")
        assert model.answered == ["busy-1", "busy-2", "other-1", "busy-3"]
    assert await asyncio.to_thread(_metric, full, "smart_support_turns_waiting") == 0


async def test_decisions_go_ahead_of_messages_that_wait(full: LocalApp, model: _Model) -> None:
    async with await Client.connect(full.ws_url) as client:
        waiting = (await client.turn("decided", "Cancel order 1042"))[-1]
        assert waiting["type"] == "interrupt"
        await _send(client, "holds-the-place")
        # A message on the same thread waits for a place; the decision does not wait for the message.
        assert (await _send(client, "decided"))["waiting"] is True
        await client.send(
            type="interrupt_response",
            thread_id="decided",
            interrupt_id=waiting["interrupt_id"],
            approved=True,
        )
        events = await client.until("message_complete", thread_id="decided")
        assert [one["status"] for one in of_type(events, "tool_result")] == ["ok"]
        assert model.answered == ["holds-the-place"]
        model.go_on.set()
        await client.until("message_complete", thread_id="decided")
        assert model.answered == ["holds-the-place", "decided"]


@pytest.mark.parametrize("full", [0.2], indirect=True)
async def test_a_message_that_gets_no_place_is_refused_and_can_be_sent_again(
    full: LocalApp, model: _Model
) -> None:
    async with await Client.connect(full.ws_url) as holder, await Client.connect(full.ws_url) as client:
        await _send(holder, "holds-the-place")
        message = {
            "type": "message",
            "thread_id": "late",
            "content": "late",
            "message_id": clock.new_id(),
        }
        await client.send(**message)
        refused = (await client.until("error"))[-1]
        assert (refused["code"], refused["thread_id"]) == ("overloaded", "late")
        assert not isinstance(refused.get("seq"), int)
        answer = await asyncio.to_thread(full.request, "POST", "/chat", json={"message": "over REST"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
        assert answer.headers["retry-after"] == "5"
        assert await asyncio.to_thread(_metric, full, "smart_support_turns_refused_total") == 2
        model.go_on.set()
        await holder.until("message_complete")
        await client.send(**message)
        events = await client.until("message_complete", thread_id="late")
        assert [one["seq"] for one in of_type(events, "message")] == [1]
    assert model.answered == ["holds-the-place", "late"]
