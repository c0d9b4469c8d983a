"""The chat while an answer is on its way: seen as it grows, found again after a reload, left at will."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from playwright.sync_api import expect

from smart_support import Settings, clock, create_app
from tests.browser.conftest import Save, Window
from tests.support.console import chat, say
from tests.support.harness import LocalApp, ScriptedModel

go_on = threading.Event()


def script(messages: list[BaseMessage], tools: list[dict[str, Any]]) -> AIMessage:
    """Repeats what it is told; to the word `slowly` it says that word only when it may."""
    said = str(next(message for message in reversed(messages) if isinstance(message, HumanMessage)).content)
    if [tool["function"]["name"] for tool in tools] == ["route"]:
        route = {"targets": [{"agent": "fallback", "request": said}], "reason": "a test"}
        return AIMessage("", tool_calls=[{"name": "route", "args": route, "id": clock.new_id()}])
    return AIMessage(f"You said: {said}", id=clock.new_id())


async def hold(word: str) -> None:
    """Before the word `slowly`, wait until the test lets it go on."""
    if "slowly" in word:
        await asyncio.to_thread(go_on.wait, 30)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalApp]:
    model = ScriptedModel(script=script, before_word=hold)
    settings = Settings(data_dir=tmp_path_factory.mktemp("streaming"))
    with LocalApp(create_app(settings, chat_model=model)) as started:
        yield started


@pytest.fixture
def app(running: LocalApp) -> Iterator[LocalApp]:
    """The app of all these tests, in which no answer is held before or after each."""
    go_on.clear()
    yield running
    go_on.set()


def test_it_grows_and_a_reload_finds_it_again(
    app: LocalApp, open_window: Window, thread_id: str, save: Save
) -> None:
    page = open_window(app.url, thread_id)
    say(page, "one two slowly three")
    answer = chat(page).locator(".bot.message").last
    expect(answer).to_contain_text("You said: one two")
    expect(answer).not_to_contain_text("three")
    save(page, "console-streaming-light")
    page.reload()
    expect(answer).to_contain_text("You said: one two")
    go_on.set()
    expect(answer).to_contain_text("You said: one two slowly three")


def test_a_message_sent_meanwhile_is_seen_at_once(
    app: LocalApp, open_window: Window, thread_id: str, save: Save
) -> None:
    page = open_window(app.url, thread_id)
    say(page, "one slowly two")
    expect(chat(page)).to_contain_text("You said: one")
    say(page, "and this")
    queued = page.locator("#ss-outbox li")
    expect(queued).to_have_text(["and thisWaiting for the current answer"])
    save(page, "console-queued-light")
    page.reload()
    expect(queued).to_contain_text(["and this"])
    go_on.set()
    expect(chat(page)).to_contain_text("You said: and this")
    expect(queued).to_have_count(0)
    expect(chat(page).locator(".user.message")).to_have_text(["one slowly two", "and this"])


def test_a_new_chat_leaves_a_running_one(app: LocalApp, open_window: Window, thread_id: str) -> None:
    page = open_window(app.url, thread_id)
    say(page, "one slowly two")
    expect(chat(page)).to_contain_text("You said: one")
    page.get_by_role("button", name="New chat").click()
    expect(chat(page)).not_to_contain_text("one slowly")
    say(page, "something else")
    expect(chat(page)).to_contain_text("You said: something else")
    go_on.set()
    page.goto(f"{app.url}/?thread={thread_id}")
    expect(chat(page)).to_contain_text("You said: one slowly two")
    expect(chat(page)).not_to_contain_text("something else")
