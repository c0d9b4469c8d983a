"""A card shows the decisions that its agent takes, and no others."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool
from playwright.sync_api import Locator, Page, expect

from smart_support import Settings, clock, create_app
from tests.browser.conftest import PHONE, Save, Window
from tests.support.console import card, chat, clear_approvals, press
from tests.support.harness import LocalApp, ScriptedModel

ALLOWED = {
    "ask_customer": ["approve", "respond"],
    "send_letter": ["approve", "reject"],
    "refund": ["approve", "edit", "reject", "respond"],
}


@pytest.fixture(scope="module")
def ran() -> list[str]:
    """The tools that ran."""
    return []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, ran: list[str]) -> Iterator[LocalApp]:
    def tool_called(name: str) -> Any:
        @tool(name)
        def called(about: str, cents: int) -> str:
            """Do it."""
            ran.append(name)
            return "done"

        return called

    def script(messages: list[BaseMessage], tools: list[Any]) -> AIMessage:
        if messages[-1].type == "human":
            call = {"name": messages[-1].text, "args": {"about": "order A-1", "cents": 2500}, "id": "call_0"}
            return AIMessage("", tool_calls=[call])
        return AIMessage(f"I was told: {messages[-1].text}")

    on: Any = {name: {"allowed_decisions": allowed} for name, allowed in ALLOWED.items()}
    graph = create_agent(
        ScriptedModel(script=script),
        tools=[tool_called(name) for name in ALLOWED],
        middleware=[HumanInTheLoopMiddleware(interrupt_on=on, interrupt_mode="per_call")],
    )
    settings = Settings(data_dir=tmp_path_factory.mktemp("allowed"))
    with LocalApp(create_app(settings, graph=graph)) as started:
        yield started


@pytest.fixture
def app(running: LocalApp, ran: list[str]) -> Iterator[LocalApp]:
    """The app of all these tests, in which nothing waits and nothing ran before each."""
    yield running
    clear_approvals(running.url)
    ran.clear()


def _ask(app: LocalApp, name: str, thread_id: str = "") -> None:
    body = {"thread_id": thread_id or f"of-{name}-{clock.new_id()}", "message": name}
    assert app.request("POST", "/chat", json=body).json()["data"]["status"] == "awaiting_approval"


def _buttons(page: Page, name: str) -> Locator:
    return card(page, name).locator(".ss-actions button:visible")


def test_a_card_offers_what_its_agent_takes(app: LocalApp, open_window: Window, save: Save) -> None:
    for name in ALLOWED:
        _ask(app, name)
    page = open_window(app.url)
    expect(page.locator(".ss-approval")).to_have_count(3)
    expect(_buttons(page, "Ask customer")).to_have_text(["Approve", "Answer…"])
    expect(_buttons(page, "Send letter")).to_have_text(["Approve", "Reject…"])
    expect(_buttons(page, "Refund")).to_have_text(["Approve", "Reject…", "Answer…", "Edit"])
    expect(card(page, "Ask customer")).to_contain_text("does not support rejection")
    save(page, "allowed-desktop")
    phone = open_window(app.url, viewport=PHONE)
    expect(phone.locator(".ss-approval")).to_have_count(3)
    card(phone, "Refund").locator(".ss-actions").scroll_into_view_if_needed()
    save(phone, "allowed-phone")


def test_an_answer_is_given_in_the_tools_place(
    app: LocalApp, open_window: Window, save: Save, ran: list[str]
) -> None:
    _ask(app, "ask_customer", "talk")
    page = open_window(app.url, "talk")
    mine = card(page, "Ask customer")
    press(mine, "Answer…")
    press(mine, "Send answer")
    expect(mine).to_contain_text("Enter an answer")
    mine.get_by_label("Your answer").fill("They moved to Leeds.")
    save(page, "allowed-answer")
    press(mine, "Send answer")
    expect(chat(page)).to_contain_text("I was told: They moved to Leeds.")
    expect(chat(page)).to_contain_text("Answered by")
    expect(page.locator(".ss-decided").first).to_contain_text("Answered by local user")
    save(page, "allowed-answered")
    assert ran == []


def test_a_batch_leaves_out_what_can_not_be_decided_so(
    app: LocalApp, open_window: Window, ran: list[str]
) -> None:
    for name in ALLOWED:
        _ask(app, name)
    page = open_window(app.url)
    expect(page.locator(".ss-approval")).to_have_count(3)
    for box in page.locator(".ss-approval .ss-select").all():
        box.check()
    bar = page.locator(".ss-batch")
    press(bar, "Reject…")
    confirm = page.locator(".ss-batch-list")
    expect(confirm).to_contain_text("1 of the selected can't be rejected")
    expect(confirm.locator("ol li")).to_have_count(2)
    confirm.get_by_label("Reason").fill("Not today.")
    press(confirm, "Reject these 2")
    expect(page.locator("#ss-approvals .ss-batch-result")).to_contain_text("2 of 2 rejected")
    expect(card(page, "Ask customer")).to_be_visible()
    assert ran == []
