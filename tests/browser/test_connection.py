"""The console when the server goes away and comes back."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Save, Window
from tests.support.console import card, chat, press, say, waiting
from tests.support.harness import AppProcess


@pytest.fixture
def own_server(data_dir: Path) -> AppProcess:
    return AppProcess(data_dir)


def test_a_restart_while_pending_is_told_and_survived(
    own_server: AppProcess, open_window: Window, thread_id: str, save: Save
) -> None:
    with own_server:
        page = open_window(own_server.url, thread_id)
        say(page, "Please cancel order 1042")
        expect(waiting(page)).to_be_visible()
        expect(page).to_have_title("(1) Smart Support")
        expect(page.locator("#ss-pending")).to_have_text("1 pending")
        press(card(page, "1042"), "Reject…")
        card(page, "1042").get_by_label("Reason").fill("Half of a")
        own_server.kill()
        expect(page.locator("#ss-state")).to_have_text("Reconnecting…")
        save(page, "console-lost-light")
        own_server.start()
        expect(page.locator("#ss-state")).to_have_text("Live")
        expect(card(page, "1042").get_by_label("Reason")).to_have_value("Half of a")
        press(card(page, "1042"), "Reject")
        expect(chat(page).locator(".ss-wait--rejected")).to_contain_text("Half of a")
        expect(page).to_have_title("Smart Support")


def test_an_expired_card_leaves(data_dir: Path, open_window: Window, thread_id: str) -> None:
    with AppProcess(data_dir, APPROVAL_TTL_SECONDS=4) as server:
        page = open_window(server.url, thread_id)
        say(page, "Please cancel order 1042")
        expect(card(page, "1042")).to_be_visible()
        expect(card(page, "1042")).to_have_count(0)
        expect(page.locator(".ss-decided")).to_contain_text("Expired without a decision")
        expect(chat(page).locator(".ss-wait--expired")).to_contain_text("nothing was done")
