"""Notifications and a sound for new approvals: off at first, once for all windows, nothing private."""

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import Save, Window
from tests.support.axe import PHONE, WIDE, check_looks
from tests.support.console import card
from tests.support.harness import AppProcess

# Chromium's own notifications, written down. A window of a test has the focus all the time; it is taken away.
# Without a screen, Chromium grants the permission when it is requested, and then says that it is denied.
WATCHED = """
    window.shown = []; window.tones = 0;
    window.Notification = class extends Notification {
        constructor(title, options) { super(title, options); window.shown.push(this); }
        static get permission() { return localStorage["said"] ?? "default"; }
        static async requestPermission() { return localStorage["said"] = await super.requestPermission(); }
    };
    const make = AudioContext.prototype.createOscillator;
    AudioContext.prototype.createOscillator = function () { window.tones += 1; return make.call(this); };
    document.hasFocus = () => window.isLookedAt === true;
"""


def _prepare(page: Page) -> None:
    page.add_init_script(WATCHED)


def _titles(*pages: Page) -> list[str]:
    return [title for page in pages for title in page.evaluate("shown.map((one) => one.title)")]


def _first_to_show(*pages: Page) -> Page:
    """The window that shows a notification; waits for it."""
    for _ in range(100):
        for page in pages:
            if _titles(page):
                return page
        pages[0].wait_for_timeout(100)
    raise AssertionError("no window shows a notification")


def _ask(app: AppProcess, thread_id: str, message: str) -> str:
    data = app.post("/chat", {"thread_id": thread_id, "message": message}).json()["data"]
    return str(data["approval"]["approval_id"])


def _turn_on(page: Page, *names: str) -> None:
    page.get_by_role("button", name="Alerts off").click()
    for name in names:
        page.get_by_label(name).check()
    page.get_by_role("dialog").get_by_role("button", name="Done").click()


def test_one_window_notifies_once_and_leads_to_the_card(
    data_dir: Any, open_window: Window, save: Save
) -> None:
    with AppProcess(data_dir) as app:
        first = open_window(app.url, prepare=_prepare)
        first.context.grant_permissions(["notifications"], origin=app.url)
        second = first.context.new_page()
        _prepare(second)
        second.goto(app.url)
        expect(second.locator("#ss-state")).to_have_attribute("data-state", "live")
        _ask(app, "alerts-1", "Cancel order 1042")
        expect(card(first, "1042")).to_be_visible()
        expect(card(second, "1042")).to_be_visible()
        assert _titles(first, second) == []

        _turn_on(first, "Desktop notifications while you look elsewhere", "Sound")
        expect(first.get_by_role("button", name="Alerts on")).to_be_visible()
        expect(second.get_by_role("button", name="Alerts on")).to_be_visible()
        # The permission comes later than the sound, which alone turns the alerts on.
        first.wait_for_function("Notification.permission === 'granted'")
        tones = first.evaluate("tones")
        assert tones == 2
        _ask(app, "alerts-2", "Refund £25 of order 1044")
        expect(card(first, "1044")).to_be_visible()
        expect(card(second, "1044")).to_be_visible()
        told = _first_to_show(first, second)
        assert _titles(first, second) == ["Approve: Refund order?"]
        expect(first).to_have_title("(2) Smart Support")
        body = told.evaluate("shown[0].body")
        assert body.startswith("Medium risk. Expires at ") or body.startswith("High risk. Expires at ")
        assert "1044" not in body
        assert first.evaluate("tones") + second.evaluate("tones") == tones + 2

        told.get_by_role("tab", name="Analytics").click()
        told.evaluate("shown[0].onclick()")
        expect(card(told, "1044")).to_be_in_viewport()

        # Whoever looks at the console gets the sound alone.
        first.evaluate("window.isLookedAt = true")
        _ask(app, "alerts-3", "Make me a coupon of 15%")
        expect(card(first, "coupon")).to_be_visible()
        expect(card(second, "coupon")).to_be_visible()
        first.wait_for_function("tones >= 4")
        assert len(_titles(first, second)) == 1
        save(first, "alerts")


def test_a_browser_that_blocks_them_is_told_what_to_do(server: AppProcess, open_window: Window) -> None:
    page = open_window(
        server.url,
        prepare=lambda page: page.add_init_script("Notification.requestPermission = async () => 'denied';"),
    )
    page.get_by_role("button", name="Alerts off").click()
    page.get_by_label("Desktop notifications while you look elsewhere").click()
    expect(page.get_by_role("alert")).to_contain_text("Your browser blocks notifications")
    check_looks(page, PHONE, WIDE)
    expect(page.get_by_label("Desktop notifications while you look elsewhere")).not_to_be_checked()
    page.get_by_role("dialog").get_by_role("button", name="Done").click()
    expect(page.get_by_role("button", name="Alerts off")).to_be_visible()
