"""A turn while it runs: a client that goes and comes back, one that comes late, two messages at once."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from langchain_core.messages import AIMessage, HumanMessage

from smart_support import Settings, clock, create_app
from tests.support.harness import Client, LocalApp, ScriptedModel, of_type, spoken

WORDS = "one two three four five six seven eight nine ten"


class _Pausing:
    """A model that stops before a word until it is let go on."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.reached, self.go_on = threading.Event(), threading.Event()

    async def before_word(self, word: str) -> None:
        if word.strip() == self.at:
            self.reached.set()
            await asyncio.to_thread(self.go_on.wait, 20)

    def model(self) -> ScriptedModel:
        return ScriptedModel(script=lambda messages, tools: AIMessage(WORDS), before_word=self.before_word)


@pytest.fixture
def one_agent(tmp_path: Path) -> Path:
    path = tmp_path / "agents.yaml"
    path.write_text(
        "company: One\nfallback: only\nagents:\n  - {name: only, title: Only, description: Talks.}\n"
    )
    return path


@pytest.fixture
def pausing() -> _Pausing:
    return _Pausing("six")


@pytest.fixture
def app(one_agent: Path, data_dir: Path, pausing: _Pausing) -> Iterator[LocalApp]:
    settings = Settings(data_dir=data_dir, agents_file=one_agent)
    with LocalApp(create_app(settings, chat_model=pausing.model())) as app:
        yield app
        pausing.go_on.set()


def _numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events]


async def test_whoever_reconnects_in_mid_stream_misses_nothing(app: LocalApp, pausing: _Pausing) -> None:
    async with await Client.connect(app.ws_url) as first:
        await first.send(type="message", thread_id="t", content="count")
        before = await first.until("token", content=" five")
    await asyncio.to_thread(pausing.reached.wait, 20)
    async with await Client.connect(app.ws_url) as second:
        await second.send(type="resume", thread_id="t", after=before[2]["seq"])
        await second.until("token", content=" five")
        pausing.go_on.set()
        await second.until("message_complete")
    assert spoken([*before[:3], *second.seen]) == WORDS
    assert _numbers(second.seen) == list(range(before[2]["seq"] + 1, second.seen[-1]["seq"] + 1))


async def test_a_turn_runs_to_its_end_though_nobody_listens(app: LocalApp, pausing: _Pausing) -> None:
    async with await Client.connect(app.ws_url) as client:
        await client.send(type="message", thread_id="t", content="count")
        await client.until("token")
    pausing.go_on.set()
    async with await Client.connect(app.ws_url) as later:
        await later.send(type="resume", thread_id="t")
        events = await later.until("message_complete")
    assert spoken(events) == WORDS


async def test_two_messages_at_once_are_two_turns_in_order(app: LocalApp, pausing: _Pausing) -> None:
    async with await Client.connect(app.ws_url) as one, await Client.connect(app.ws_url) as two:
        await one.send(type="message", thread_id="t", content="first")
        await one.until("token")
        await two.send(type="message", thread_id="t", content="second")
        await two.send(type="ping")
        await two.until("pong")
        pausing.go_on.set()
        await one.until("message_complete")
        await one.until("message_complete")
    said = [event["content"] for event in of_type(one.seen, "message")]
    assert said == ["first", "second"]
    assert spoken(one.seen) == WORDS * 2
    assert _numbers(one.seen) == list(range(1, len(one.seen) + 1))


async def test_a_clean_stop_lets_the_turn_end(one_agent: Path, data_dir: Path, pausing: _Pausing) -> None:
    settings = Settings(data_dir=data_dir, agents_file=one_agent)
    with LocalApp(create_app(settings, chat_model=pausing.model())) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="message", thread_id="t", content="count")
            await client.until("token")
        pausing.go_on.set()
    with LocalApp(create_app(settings, chat_model=pausing.model())) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="resume", thread_id="t")
            events = await client.until("message_complete")
    assert spoken(events) == WORDS


async def test_the_model_is_told_all_that_was_said(one_agent: Path, data_dir: Path) -> None:
    heard: list[list[str]] = []

    def script(messages: list[Any], tools: list[Any]) -> AIMessage:
        heard.append([str(m.text) for m in messages if isinstance(m, (HumanMessage, AIMessage))])
        return AIMessage(f"answer {len(heard)}")

    settings = Settings(data_dir=data_dir, agents_file=one_agent)
    with LocalApp(create_app(settings, chat_model=ScriptedModel(script=script))) as app:
        async with await Client.connect(app.ws_url) as client:
            for text in ("a", "b", "c"):
                await client.turn("t", text)
    assert heard[-1] == ["a", "answer 1", "b", "answer 2", "c"]


async def test_a_message_sent_again_is_recorded_once(app: LocalApp, pausing: _Pausing) -> None:
    message = {"type": "message", "thread_id": "t", "content": "count", "message_id": clock.new_id()}
    async with await Client.connect(app.ws_url) as client:
        await client.send(**message)
        await client.until("token")
        await client.send(**message)
        while_running = await client.until("message_accepted", recorded=True)
        pausing.go_on.set()
        await client.until("message_complete")
        await client.send(**message)
        await client.until("message_accepted", recorded=True)
        await client.send(**message | {"message_id": "1"})
        refused = (await client.until("error"))[-1]
    assert while_running
    said = of_type(client.seen, "message")
    assert [(one["content"], one["message_id"]) for one in said] == [("count", message["message_id"])]
    assert len(of_type(client.seen, "message_complete")) == 1
    assert (refused["code"], "message_id" in refused["message"]) == ("invalid_request", True)


async def test_a_queued_message_sent_again_is_accepted_once(app: LocalApp, pausing: _Pausing) -> None:
    queued = {"type": "message", "thread_id": "t", "content": "next", "message_id": clock.new_id()}
    async with await Client.connect(app.ws_url) as client:
        await client.send(type="message", thread_id="t", content="count")
        await client.until("token")
        for _ in range(2):
            await client.send(**queued)
            await client.until("message_accepted", recorded=False)
        pausing.go_on.set()
        await client.until("message_complete")
        await client.until("message_complete")
        await client.turn("t", "last")
    assert [one["content"] for one in of_type(client.seen, "message")] == ["count", "next", "last"]


async def test_a_message_with_the_id_of_another_event_is_recorded(app: LocalApp, pausing: _Pausing) -> None:
    pausing.go_on.set()
    async with await Client.connect(app.ws_url) as client:
        await client.turn("t", "count")
        records = await app.app.state.services.event_log.read("t")
        taken = next(one.event_id for one in records if one.event.type == "message_complete")
        await client.send(type="message", thread_id="t", content="next", message_id=taken)
        await client.until("message_complete")
    assert [one["content"] for one in of_type(client.seen, "message")] == ["count", "next"]


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_turn_that_is_stopped_before_its_first_step_leaves_its_thread_free(
    data_dir: Path, is_alone: bool
) -> None:
    """As where the locks are lost in the moment in which it is accepted. Nothing else would run there."""
    app = create_app(Settings(data_dir=data_dir))
    with TestClient(app) as client:
        turns = app.state.services.turns

        async def work(*_: Any) -> None:
            await asyncio.Event().wait()

        async def begin_and_stop() -> bool:
            if is_alone:
                turns.start_alone("t", work)
            else:
                turns.start("t", "rest", work)
            turns.cancel_all()
            await turns.close(30)
            return bool(turns.has_turn("t"))

        assert client.portal
        assert client.portal.call(begin_and_stop) is False
