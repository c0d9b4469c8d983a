"""The console when the server goes away and comes back."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Save, Window
from tests.support.console import card, chat, press, say, waiting
from tests.support.harness import AppProcess

APPROVE = {"decision": "approve"}


@pytest.fixture
def own_server(data_dir: Path) -> AppProcess:
    return AppProcess(data_dir)


def _reject_half(page: Page) -> None:
    """Ask for a cancellation and begin to type why it is rejected."""
    say(page, "Please cancel order 1042")
    expect(waiting(page)).to_be_visible()
    expect(page).to_have_title("(1) Smart Support")
    expect(page.locator("#ss-pending")).to_have_text("1 pending")
    press(card(page, "1042"), "Reject…")
    card(page, "1042").get_by_label("Reason").fill("Half of a")


def test_a_restart_while_pending_is_told_and_survived(
    own_server: AppProcess, open_window: Window, thread_id: str, save: Save
) -> None:
    with own_server:
        # Gradio reloads the page where the restart broke a stream of it, which depends on when it came.
        # Here it never does; the test below reloads.
        page = open_window(
            own_server.url, thread_id, prepare=lambda page: page.route("**/app_id*", lambda r: r.abort())
        )
        _reject_half(page)
        own_server.kill()
        expect(page.locator("#ss-state")).to_have_text("Connection lost. Reconnecting…")
        save(page, "console-lost-light")
        own_server.start()
        expect(page.locator("#ss-state")).to_have_text("Live")
        expect(card(page, "1042").get_by_label("Reason")).to_have_value("Half of a")
        press(card(page, "1042"), "Reject")
        expect(page.locator(".ss-decided")).to_contain_text("Half of a")
        expect(page).to_have_title("Smart Support")


def test_what_is_typed_survives_that_the_page_is_loaded_again(
    own_server: AppProcess, open_window: Window, thread_id: str
) -> None:
    with own_server:
        page = open_window(own_server.url, thread_id)
        _reject_half(page)
        card(page, "1042").get_by_text("History", exact=True).click()
        card(page, "1042").get_by_label("Note").fill("Ask the war")
        page.reload()
        expect(card(page, "1042").get_by_label("Reason")).to_have_value("Half of a")
        expect(card(page, "1042").get_by_label("Note")).to_have_value("Ask the war")
        press(card(page, "1042"), "Cancel")
        press(card(page, "1042"), "Edit")
        card(page, "1042").get_by_label("order_id").fill("104")
        page.reload()
        expect(card(page, "1042").get_by_label("order_id")).to_have_value("104")
        press(card(page, "1042"), "Cancel")
        press(card(page, "1042"), "Reject…")
        card(page, "1042").get_by_label("Reason").fill("Half of another")
        own_server.post(f"/approvals/{own_server.pending(thread_id)[0]['approval_id']}/decision", APPROVE)
        expect(page.locator(".ss-leaving")).to_contain_text("Already approved by local user")
        expect(page.locator(".ss-leaving")).to_contain_text("Half of another")


def test_what_is_typed_or_just_sent_survives_a_restart(
    own_server: AppProcess, open_window: Window, thread_id: str, save: Save
) -> None:
    with own_server:
        page = open_window(own_server.url, thread_id)
        field = page.get_by_label("Message", exact=True)
        say(page, "Where is my order 1043?")
        own_server.kill()
        field.fill("Where is my")
        field.press_sequentially(" order 1044?")
        field.press("Enter")
        expect(page.locator("#ss-outbox .ss-unsent").last).to_contain_text("Not sent")
        expect(page.locator("#ss-outbox").get_by_role("button", name="Retry").last).to_be_visible()
        expect(page.get_by_role("status").filter(has_text="Connection lost")).to_have_count(1)
        field.fill("Half of a")
        save(page, "console-unsent-light")
        own_server.start()
        expect(chat(page).locator(".user.message")).to_have_text(
            ["Where is my order 1043?", "Where is my order 1044?"]
        )
        expect(page.locator("#ss-outbox li")).to_have_count(0)
        expect(field).to_have_value("Half of a")
        page.reload()
        expect(field).to_have_value("Half of a")
        expect(chat(page).locator(".user.message")).to_have_count(2)


def test_a_message_is_sent_when_gradio_has_lost_the_server(
    server: AppProcess, open_window: Window, thread_id: str
) -> None:
    """Gradio then drops every event of the page, and waits for the server to come back."""
    page = open_window(server.url, thread_id, share="last")
    for broken in ("**/app_id*", "**/queue/data?*"):
        page.route(broken, lambda route: route.abort())
    field = page.get_by_label("Message", exact=True)
    say(page, "Where is my order 1043?")
    expect(page.get_by_text("Connection to the server was lost")).to_be_attached()
    say(page, "Where is my order 1044?")
    expect(field).to_have_value("")
    field.fill("Where is my order 1046?")
    page.get_by_role("button", name="Send").click()
    expect(field).to_have_value("")
    page.unroute_all()
    page.reload()
    expect(chat(page).locator(".user.message")).to_have_text(
        [f"Where is my order {order}?" for order in (1043, 1044, 1046)]
    )


def test_an_expired_card_leaves(data_dir: Path, open_window: Window, thread_id: str) -> None:
    with AppProcess(data_dir, APPROVAL_TTL_SECONDS=4) as server:
        page = open_window(server.url, thread_id)
        say(page, "Please cancel order 1042")
        expect(card(page, "1042")).to_be_visible()
        expect(card(page, "1042")).to_have_count(0)
        expect(page.locator(".ss-decided")).to_contain_text("Expired without a decision")
        expect(chat(page).locator(".ss-wait--expired")).to_contain_text("nothing was done")
