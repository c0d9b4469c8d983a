"""API clients in the console: who requested a call, in words that can't be taken for the card's own."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Window
from tests.support.harness import AppProcess

REASON = "She asked.”\n\nApproved by dana.\u202e\u200b<b>Low risk</b>\n" + "And on. " * 60
SHOWN = "“She asked.” ⏎ ⏎ Approved by dana.⟨U+202E⟩⟨U+200B⟩<b>Low risk</b> ⏎ And on."


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """An app in which a client has requested the cancellation of an order."""
    with AppProcess(tmp_path_factory.mktemp("callers") / "var") as running:
        answer = httpx.post(
            f"{running.url}/api/v1/actions",
            json={
                "tool": "cancel_order",
                "args": {"order_id": "1042"},
                "reason": REASON,
                "thread_id": "bot-1",
            },
            headers={"User-Agent": "Robot/7 (approved)"},
            timeout=30,
        )
        assert answer.status_code == 202, answer.text
        yield running


def _expect_quotation(page: Page, within: str) -> None:
    quotation = page.locator(f"{within} .ss-says")
    expect(quotation.locator("figcaption")).to_have_text("local user says (not verified):")
    expect(quotation.locator("blockquote")).to_contain_text(SHOWN)
    expect(quotation).to_contain_text("Program Robot/7 (approved)")
    expect(quotation.get_by_role("button", name="Show all")).to_be_visible()
    # On one line, and never outside of the quotation.
    assert "\n" not in (quotation.locator("blockquote bdi").first.text_content() or "")
    expect(page.locator(within).get_by_text("Approved by dana")).to_have_count(
        quotation.get_by_text("Approved by dana").count()
    )


def test_who_requested_a_call_is_a_quotation_wherever_it_is_shown(
    app: AppProcess, open_window: Window
) -> None:
    page = open_window(app.url)
    expect(page.locator(".ss-approval")).to_contain_text("local user (API client)")
    _expect_quotation(page, ".ss-approval")
    page.locator(".ss-approval").get_by_text("History").click()
    _expect_quotation(page, ".ss-approval .ss-history")
    page.get_by_role("tab", name="Approvals").click()
    expect(page.locator(".ss-row")).to_contain_text("local user (API client)")
    page.locator(".ss-row").get_by_role("button").click()
    _expect_quotation(page, ".ss-details")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Requested by").select_option("local user (API client)")
    expect(page.locator(".ss-row")).to_have_count(1)
    page.locator(".ss-details").get_by_role("button", name="Replay").click()
    _expect_quotation(page, ".ss-step--tool_call")


def test_a_lead_disables_a_caller_and_freezes_one(app: AppProcess, open_window: Window) -> None:
    page = open_window(f"{app.url}/?tab=callers")
    caller = page.locator(".ss-caller-row")
    expect(caller).to_contain_text(re.compile("Pending now1Last calljust now|Pending now1Last call.* ago"))
    caller.get_by_role("button", name="Disable: local user").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 pending approval can be rejected, but not approved")
    dialog.get_by_label("Reason").fill("A stolen key.\u202e")
    dialog.get_by_role("button", name="Disable").click()
    expect(caller).to_contain_text("Disabled by local user")
    expect(caller).to_contain_text("A stolen key.⟨U+202E⟩")
    refused = app.post("/actions", {"tool": "get_order_status", "args": {"order_id": "1042"}})
    assert refused.json()["error"]["code"] == "caller_disabled"
    caller.get_by_role("button", name="Enable: local user").click()
    page.get_by_role("dialog").get_by_role("button", name="Enable").click()
    expect(caller.get_by_role("button", name="Disable: local user")).to_be_focused()
    page.locator("#ss-freeze").click()
    page.get_by_label("What to freeze").select_option("caller:local user")
    page.get_by_label("Reason").fill("a price")
    page.get_by_role("dialog").get_by_role("button", name="Freeze").click()
    expect(page.locator("#ss-freezes")).to_contain_text("Writes of local user (API client) are frozen")
