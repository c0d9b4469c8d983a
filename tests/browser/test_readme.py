"""The README's demo script, followed in a fresh app; `make picture` keeps its picture as docs/console.png."""

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Save, Window
from tests.support.console import press
from tests.support.harness import AppProcess


def _say(page: Page, words: str) -> None:
    page.get_by_placeholder("Write a message").fill(words)
    page.get_by_role("button", name="Send").click()


def _answer(page: Page, words: str) -> Locator:
    """What an agent said, not what its tool gave."""
    return page.locator("p", has_text=words).first


def test_what_the_readme_says_to_try_first(data_dir: Path, open_window: Window, save: Save) -> None:
    with AppProcess(data_dir) as app:
        customer, lead = open_window(app.url, thread_id="readme"), open_window(app.url)
        _say(customer, "Where is my order 1043?")
        expect(_answer(customer, "Order 1043 is shipped")).to_be_visible()
        _say(customer, "Cancel 1042 and give me 10% off the next one")
        card = lead.locator(".ss-approval")
        expect(card).to_contain_text("€124.00")
        expect(card).to_contain_text("card ending 4242")
        expect(customer.locator(".ss-approval")).to_be_visible()
        save(customer, "readme")
        card.get_by_role("button", name="Approve").click()
        expect(_answer(customer, "Order 1042 is cancelled")).to_be_visible()
        expect(card).to_contain_text("Create a 10% coupon")
        card.get_by_role("button", name="Reject…").click()
        card.get_by_role("textbox").fill("one is enough")
        press(card, "Reject")
        expect(customer.locator("#ss-chat-side")).to_contain_text("one is enough")
        customer.close()
        lead.close()
    with AppProcess(data_dir) as again:
        page = open_window(again.url, thread_id="readme")
        expect(_answer(page, "Order 1042 is cancelled")).to_be_visible()
        page.get_by_role("tab", name="Replay").click()
        expect(page.locator(".ss-conversations button")).to_have_count(1)
        page.get_by_role("tab", name="Analytics").click()
        expect(page.locator(".ss-metrics .ss-card").first).to_contain_text("1")
        # What the page still fetches, it fetches from an app that is there.
        expect(page.locator(".ss-chart")).to_have_count(2)
        page.close()
