"""The queue as leads work in it together: filters, claims, batches, keys, notes, and what escalated."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PHONE, Save, Window
from tests.support.console import card, press
from tests.support.harness import ROOT, AppProcess

WIDE = {"width": 1440, "height": 900}


@pytest.fixture
def app(data_dir: Path) -> Iterator[AppProcess]:
    agents = data_dir.parent / "agents.yaml"
    text = (ROOT / "data/templates/e-commerce.yaml").read_text()
    rule = "{tool: apply_discount, then: two_leads, because: Discounts on open orders need two.}"
    agents.write_text(f"{text}policy: [{rule}]\n")
    with AppProcess(data_dir, AGENTS_FILE=agents) as running:
        yield running


@pytest.fixture
def ask(app: AppProcess) -> Callable[..., str]:
    """Has something asked for; the approval's id."""

    def asked(thread_id: str, message: str) -> str:
        data = app.post("/chat", {"thread_id": thread_id, "message": message}).json()["data"]
        return str(data["approval"]["approval_id"])

    return asked


@pytest.fixture
def four(ask: Callable[..., str]) -> list[str]:
    """Four that wait: three kinds, three risks."""
    return [
        ask("a", "Make me a coupon of 15%"),
        ask("b", "Cancel order 1042"),
        ask("c", "Give me 10% off order 1046"),
        ask("d", "Refund £25 of order 1044"),
    ]


def _visible(page: Page) -> Locator:
    return page.locator(".ss-approval:visible h3")


def test_what_is_shown_and_in_which_order(
    app: AppProcess, four: list[str], open_window: Window, save: Save
) -> None:
    page = open_window(app.url, viewport=WIDE)
    expect(page.locator(".ss-approval")).to_have_count(4)
    coupon, discount = re.compile("15% coupon"), re.compile("10% discount")
    cancel, refund = re.compile("^Cancel order 1042"), re.compile("^Refund £25")
    expect(_visible(page)).to_have_text([coupon, cancel, discount, refund])
    save(page, "queue-light")
    page.get_by_label("Order", exact=True).select_option("risk")
    for place, title in enumerate((cancel, refund)):
        expect(_visible(page).nth(place)).to_have_text(title)
    page.get_by_label("Search approvals").fill("1046")
    expect(page.get_by_text("1 of 4 shown")).to_be_visible()
    expect(_visible(page)).to_have_text([discount])
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("Agent", exact=True).select_option("order_actions")
    expect(_visible(page)).to_have_text([cancel, refund])


def test_a_card_that_is_filtered_away_keeps_what_was_typed(
    app: AppProcess, four: list[str], open_window: Window
) -> None:
    page = open_window(app.url)
    press(card(page, "1042"), "Reject…")
    card(page, "1042").get_by_role("textbox").first.fill("half a sentence")
    page.get_by_label("Search approvals").fill("coupon")
    expect(page.get_by_text("1 of 4 shown")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(card(page, "1042").get_by_role("textbox").first).to_have_value("half a sentence")


def test_a_rejection_needs_a_reason(app: AppProcess, ask: Callable[..., str], open_window: Window) -> None:
    approval_id = ask("t", "Cancel order 1042")
    page = open_window(app.url)
    press(card(page, "1042"), "Reject…")
    press(card(page, "1042"), "Reject")
    expect(card(page, "1042").get_by_role("alert")).to_contain_text("Add a reason")
    assert app.get(f"/approvals/{approval_id}")["status"] == "pending"


def test_others_see_a_claim_and_confirm_before_they_decide(
    app: AppProcess, ask: Callable[..., str], open_window: Window
) -> None:
    approval_id = ask("t", "Cancel order 1042")
    mine, theirs = open_window(app.url), open_window(app.url)
    press(card(mine, "1042"), "Claim")
    expect(card(mine, "1042")).to_contain_text("Claimed by you")
    expect(card(theirs, "1042")).to_contain_text("Claimed by local user until")
    press(card(theirs, "1042"), "Approve")
    expect(card(theirs, "1042").get_by_role("alert")).to_contain_text("Press Approve again to approve anyway")
    assert app.get(f"/approvals/{approval_id}")["status"] == "pending"
    press(card(mine, "1042"), "Release")
    expect(card(theirs, "1042")).not_to_contain_text("Claimed by local user")
    press(card(theirs, "1042"), "Approve")
    expect(mine.locator(".ss-decided")).to_contain_text("Approved by local user")


def test_a_claim_outlives_a_reload_and_can_be_given_back_from_anywhere(
    app: AppProcess, ask: Callable[..., str], open_window: Window
) -> None:
    approval_id = ask("t", "Cancel order 1042")
    page = open_window(app.url)
    press(card(page, "1042"), "Claim")
    expect(card(page, "1042")).to_contain_text("Claimed by you")
    page.reload()
    expect(card(page, "1042")).to_contain_text("Claimed by you")
    other = open_window(app.url)
    expect(card(other, "1042")).to_contain_text("Claimed by local user until")
    press(card(other, "1042"), "Release")
    expect(card(page, "1042")).not_to_contain_text("Claimed by you")
    assert app.get(f"/approvals/{approval_id}")["claimed_by"] is None


def test_an_edit_is_seen_before_it_is_approved_and_in_the_history_after(
    app: AppProcess, ask: Callable[..., str], open_window: Window, save: Save
) -> None:
    approval_id = ask("t", "Refund £25 of order 1044")
    page = open_window(app.url, viewport=WIDE)
    waiting = card(page, "1044")
    press(waiting, "Edit")
    outcome = waiting.locator(".ss-edit-outcome")
    waiting.get_by_label("amount_cents").fill("900000")
    expect(outcome).to_contain_text("£260.00 at most")
    waiting.get_by_label("amount_cents").fill("20x")
    expect(outcome).to_contain_text("amount_cents: enter a number")
    waiting.get_by_label("amount_cents").fill("1500")
    expect(outcome).to_contain_text("£15.00")
    waiting.get_by_label("order_id").fill("1042")
    waiting.get_by_label("amount_cents").fill("1000")
    expect(outcome).to_contain_text("This is about another customer: C-2001.")
    waiting.get_by_label("order_id").fill("1044")
    expect(outcome).to_contain_text("£10.00")
    expect(outcome).not_to_contain_text("another customer")
    save(page, "queue-edit-light")
    press(waiting, "Approve with changes")
    done = page.locator(".ss-decided")
    expect(done).to_contain_text("Refund £10.00")
    done.get_by_text("History", exact=True).click()
    expect(done.get_by_role("list", name="Changes")).to_contain_text("£10.00")
    expect(done.get_by_role("list", name="Edited arguments")).to_contain_text("2500")
    expect(done.locator(".ss-history")).to_contain_text("Edited by local user via the console")
    done.get_by_label("Note").fill("agreed by phone")
    press(done, "Add note")
    expect(done.locator(".ss-history")).to_contain_text("local user: agreed by phone")
    expect(done.locator(".ss-history")).to_contain_text("Completed.")
    assert app.get(f"/approvals/{approval_id}")["decided_via"] == "console"


def test_several_are_confirmed_by_a_list_and_each_has_its_own_outcome(
    app: AppProcess, four: list[str], open_window: Window, save: Save
) -> None:
    page = open_window(app.url, viewport=WIDE, color_scheme="dark")
    for text in ("1042", "1044", "coupon"):
        card(page, text).get_by_role("checkbox").check()
    page.locator(".ss-batch").get_by_role("button", name="Reject…").click()
    confirm = page.locator(".ss-batch-list")
    expect(confirm.locator("li")).to_have_count(3)
    expect(confirm.get_by_role("button", name="Reject these 3")).to_be_disabled()
    confirm.get_by_role("textbox").fill("Not today")
    save(page, "queue-batch-dark")
    app.post(f"/approvals/{four[1]}/decision", {"decision": "approve"})
    expect(card(page, "1042")).to_have_count(0)
    confirm.get_by_role("button", name="Reject these 3").click()
    results = page.locator(".ss-batch-result")
    expect(results).to_contain_text("2 of 3 rejected.")
    expect(results).to_contain_text("already approved by local user")
    states = [app.get(f"/approvals/{approval_id}") for approval_id in four]
    assert [one["status"] for one in states] == ["rejected", "approved", "pending", "rejected"]
    assert states[0]["reason"] == "Not today"


def test_keys_move_and_act_and_a_stray_one_approves_nothing(
    app: AppProcess, four: list[str], open_window: Window
) -> None:
    page = open_window(app.url)
    expect(page.locator(".ss-approval")).to_have_count(4)
    page.locator("#ss-approvals h2").focus()
    page.keyboard.press("a")
    page.keyboard.press("j")
    expect(card(page, "coupon")).to_be_focused()
    page.keyboard.press("j")
    expect(card(page, "1042")).to_be_focused()
    page.keyboard.press("a")
    expect(card(page, "1042")).to_contain_text("Press a again to approve")
    assert app.get(f"/approvals/{four[1]}")["status"] == "pending"
    page.keyboard.press("c")
    expect(card(page, "1042")).to_contain_text("Claimed by you")
    page.keyboard.press("a")
    expect(page.locator(".ss-decided")).to_contain_text("Approved by local user")
    assert app.get(f"/approvals/{four[1]}")["status"] == "approved"
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_label("Search approvals")).to_be_focused()
    page.keyboard.type("aaaa")
    assert [app.get(f"/approvals/{four[n]}")["status"] for n in (0, 2, 3)] == ["pending"] * 3


def test_notes_and_history_are_on_the_card(
    app: AppProcess, ask: Callable[..., str], open_window: Window
) -> None:
    ask("t", "Cancel order 1042")
    page, other = open_window(app.url), open_window(app.url)
    waiting = card(page, "1042")
    waiting.get_by_text("History", exact=True).click()
    expect(waiting.locator(".ss-history")).to_contain_text("Requested by Order changes")
    waiting.get_by_label("Note").fill("<b>called</b> the customer")
    press(waiting, "Add note")
    expect(waiting.locator(".ss-history")).to_contain_text("local user: <b>called</b> the customer")
    expect(card(other, "1042").get_by_text("History · 1 note")).to_be_visible()


def test_a_card_for_two_leads_says_what_is_missing(
    app: AppProcess, ask: Callable[..., str], open_window: Window
) -> None:
    ask("t", "Give me 10% off order 1046")
    page = open_window(app.url)
    waiting = card(page, "1046")
    expect(waiting).to_contain_text("Needs two leads")
    expect(waiting).to_contain_text("Discounts on open orders need two.")
    expect(waiting.get_by_role("button", name="Edit")).to_be_hidden()
    press(waiting, "Approve")
    expect(waiting).to_contain_text("Approved once by local user. A second lead must approve it too.")
    press(waiting, "Approve")
    expect(waiting.get_by_role("alert")).to_contain_text("already approved once by local user")


def test_what_needs_a_person_stays_until_somebody_has_seen_to_it(
    app: AppProcess, open_window: Window, save: Save
) -> None:
    page = open_window(app.url, viewport=PHONE)
    app.post("/chat", {"thread_id": "t", "message": "I want to talk to a human"})
    page.get_by_role("button", name="1 conversation needs a human").click()
    section = page.get_by_role("region", name="Needs a human")
    expect(section.get_by_role("button", name="conversation")).to_be_focused()
    expect(section).to_contain_text("No webhook configured")
    section.scroll_into_view_if_needed()
    save(page, "queue-phone")
    section.get_by_role("button", name="Done").click()
    expect(section).to_be_hidden()
    assert app.get("/escalations", open="true") == []


def test_a_card_says_that_its_time_runs_out(data_dir: Path, open_window: Window) -> None:
    with AppProcess(data_dir, APPROVAL_TTL_SECONDS=100) as app:
        app.post("/chat", {"thread_id": "t", "message": "Cancel order 1042"})
        page = open_window(app.url)
        expect(page.get_by_role("button", name="1 approval expires in less than 2 minutes")).to_be_visible()
        page.close()
