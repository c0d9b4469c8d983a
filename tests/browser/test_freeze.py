"""What is frozen, on the page: the bar that every window shows at once, and the two dialogs."""

from pathlib import Path

import httpx
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, Save, Window
from tests.support.console import card, press, say, waiting
from tests.support.guarded import KEYS, PASSWORD
from tests.support.harness import AppProcess

REASON = "<b>a pricing error</b>"


def test_a_freeze_shows_at_once_and_is_lifted_in_the_console(
    data_dir: Path, open_window: Window, save: Save
) -> None:
    with AppProcess(data_dir) as server:
        page, other = open_window(server.url), open_window(server.url, viewport=PHONE, color_scheme="dark")
        say(page, "Cancel order 1042")
        expect(waiting(page)).to_be_visible()
        waits = card(page, "Cancel order 1042").first
        page.get_by_role("button", name="Freeze…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("What to freeze").locator("option")).to_contain_text(["All writes"])
        dialog.get_by_label("What to freeze").select_option("tool:cancel_order")
        dialog.get_by_label("Reason").fill(REASON)
        save(page, "freeze-dialog")
        press(dialog, "Freeze")
        for window in (page, other):
            bar = window.locator("#ss-freezes")
            expect(bar).to_contain_text("Cancel order is frozen by local user since ")
            expect(bar).to_contain_text(REASON)
        expect(page.locator("#ss-freezes")).to_contain_text("1 approval paused")
        expect(waits.get_by_text("Frozen", exact=True)).to_be_visible()
        expect(waits.locator(".ss-countdown")).to_have_attribute(
            "title", "Time is paused while writes are frozen"
        )
        save(page, "frozen")
        save(other, "frozen-phone")
        other.get_by_role("tab", name="Analytics").click()
        expect(other.locator("#ss-freezes")).to_be_visible()
        press(waits, "Approve")
        expect(page.locator("#ss-freezes")).to_contain_text("1 approved write on hold, 0 approvals paused")
        page.get_by_role("button", name="Unfreeze: Cancel order").click()
        expect(page.get_by_role("dialog")).to_contain_text("1 approved write will be checked again")
        press(page.get_by_role("dialog"), "Unfreeze")
        for window in (page, other):
            expect(window.locator("#ss-freezes")).to_be_hidden()
        expect(page.get_by_role("log", name="chatbot conversation")).to_contain_text("cancelled")


def test_a_lead_sees_no_button_to_unfreeze(guarded: AppProcess, open_window: Window) -> None:
    with httpx.Client(base_url=guarded.url, headers={"Origin": guarded.url}, timeout=60) as client:
        client.post("/login", data={"name": "lee", "password": PASSWORD})
        token = client.cookies["smart_support_login"]
    cookie = {"name": "smart_support_login", "value": token, "url": guarded.url}
    with httpx.Client(base_url=f"{guarded.url}/api/v1", headers={"X-API-Key": KEYS["root"]}) as admin:
        admin.post("/freeze", json={"scope": "tool:nothing", "reason": "why"}).raise_for_status()
        try:
            page = open_window(guarded.url, cookies=[cookie])
            expect(page.locator("#ss-freezes")).to_contain_text("Nothing is frozen by root")
            expect(page.get_by_role("button", name="Freeze…")).to_be_visible()
            expect(page.locator("#ss-freezes button")).to_have_count(0)
        finally:
            admin.delete("/freeze/tool:nothing").raise_for_status()
