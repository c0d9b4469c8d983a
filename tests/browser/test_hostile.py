"""What a hostile graph puts on a card and into the chat: it is all text, and it is all seen."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt
from playwright.sync_api import Page, expect

from smart_support import Settings, create_app
from tests.browser.conftest import Save, Window
from tests.support.console import chat, clear_approvals, press, say
from tests.support.harness import LocalApp

EVIL = '<img src="http://evil.example/a.png" onerror="document.title=1">![a](http://evil.example/b.png)'
ARGS = {
    EVIL: EVIL,
    "hidden": "pay \u202eeven\u202c\x00more",
    "long": "word " * 400 + "THE END",
    "flag": True,
    "none": None,
    "nested": {"a": [1, {"b": EVIL}]},
}


def ask(state: MessagesState) -> dict[str, Any]:
    """One write with arguments as bad as they come."""
    approved = interrupt({"action": f"wire_money {EVIL}", **ARGS})
    return {"messages": [AIMessage(f"It was {approved}. {EVIL}")]}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalApp]:
    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    compiled = graph.compile(checkpointer=InMemorySaver())
    settings = Settings(data_dir=tmp_path_factory.mktemp("hostile"))
    with LocalApp(create_app(settings, graph=compiled)) as started:
        yield started


@pytest.fixture
def app(running: LocalApp) -> Iterator[LocalApp]:
    """The app of all these tests, in which nothing waits before each."""
    yield running
    clear_approvals(running.url)


def test_a_card_is_text_and_all_of_it_is_seen(
    app: LocalApp, open_window: Window, thread_id: str, save: Save
) -> None:
    asked: list[str] = []

    def watch(page: Page) -> None:
        page.on("request", lambda request: asked.append(request.url))

    page = open_window(app.url, thread_id, prepare=watch, share="always")
    say(page, "go")
    card = page.locator(".ss-approval")
    expect(card).to_contain_text("pay ⟨U+202E⟩even⟨U+202C⟩␀more")
    expect(card.locator("h3")).to_contain_text("<img src=")
    expect(card).not_to_contain_text("THE END")
    card.get_by_role("button", name="Show all").first.click()
    save(page, "console-hostile-light")
    while (folded := card.get_by_role("button", name="Show all")).count():
        folded.first.click()
    expect(card).to_contain_text("THE END")
    press(card, "Approve")
    expect(chat(page).locator(".bot.message").last).to_contain_text("It was True.")
    assert page.locator(".ss-panel img, #ss-chat img, #ss-chat form").count() == 0
    assert [url for url in asked if "evil" in url] == []


def test_an_edit_keeps_every_type(app: LocalApp, open_window: Window, thread_id: str) -> None:
    page = open_window(app.url, thread_id)
    say(page, "go")
    card = page.locator(".ss-approval")
    press(card, "Edit")
    card.get_by_label("flag").uncheck()
    press(card, "Approve with changes")
    expect(chat(page).locator(".ss-wait--edited")).to_be_visible()
    decided = app.request("GET", "/approvals").json()["data"][0]
    # A NUL is shown by its symbol from where it enters: PostgreSQL can't hold it.
    assert decided["args"] == ARGS | {"flag": False, "hidden": str(ARGS["hidden"]).replace("\x00", "␀")}
