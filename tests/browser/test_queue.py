"""The queue as leads work in it together: filters, claims, batches, keys, notes, and what escalated."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PHONE, Save, Window
from tests.support.console import card, clear_approvals, press
from tests.support.harness import ROOT, AppProcess, demo_orders

WIDE = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("queue")
    text = (ROOT / "data/templates/e-commerce.yaml").read_text()
    rule = "{tool: apply_discount, then: two_leads, because: Discounts on open orders need two.}"
    (folder / "agents.yaml").write_text(f"{text}policy: [{rule}]\n")
    with AppProcess(folder / "var", AGENTS_FILE=folder / "agents.yaml") as started:
        yield started


@pytest.fixture
def app(running: AppProcess) -> Iterator[AppProcess]:
    """The app of all these tests, in which nothing waits before each."""
    yield running
    clear_approvals(running.url)


@pytest.fixture(scope="module")
def orders() -> Iterator[str]:
    """Orders that can be cancelled."""
    return demo_orders("processing")


@pytest.fixture
def order(orders: Iterator[str]) -> str:
    """An order that no other of these tests has."""
    return next(orders)


@pytest.fixture
def ask(app: AppProcess, thread_id: str) -> Callable[..., str]:
    """Requests a call; gives the approval's id."""

    def request(name: str, message: str) -> str:
        body = {"thread_id": f"{thread_id}-{name}", "message": message}
        return str(app.post("/chat", body).json()["data"]["approval"]["approval_id"])

    return request


@pytest.fixture
def four(ask: Callable[..., str], order: str) -> list[str]:
    """Four that wait: three kinds, three risks."""
    return [
        ask("a", "Make me a coupon of 15%"),
        ask("b", f"Cancel order {order}"),
        ask("c", "Give me 10% off order 1046"),
        ask("d", "Refund £25 of order 1044"),
    ]


def _visible(page: Page) -> Locator:
    return page.locator(".ss-approval:visible h3")


def _decided(page: Page, text: str) -> Locator:
    return page.locator(".ss-decided").filter(has_text=text)


def test_what_is_shown_and_in_which_order(
    app: AppProcess, order: str, four: list[str], open_window: Window, save: Save
) -> None:
    page = open_window(app.url, viewport=WIDE)
    expect(page.locator(".ss-approval")).to_have_count(4)
    coupon, discount = re.compile("15% coupon"), re.compile("10% discount")
    cancel, refund = re.compile(f"^Cancel order {order}"), re.compile("^Refund £25")
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
    app: AppProcess, order: str, four: list[str], open_window: Window
) -> None:
    page = open_window(app.url)
    press(card(page, order), "Reject…")
    card(page, order).get_by_role("textbox").first.fill("half a sentence")
    page.get_by_label("Search approvals").fill("coupon")
    expect(page.get_by_text("1 of 4 shown")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(card(page, order).get_by_role("textbox").first).to_have_value("half a sentence")


def test_a_rejection_needs_a_reason(
    app: AppProcess, order: str, ask: Callable[..., str], open_window: Window
) -> None:
    approval_id = ask("t", f"Cancel order {order}")
    page = open_window(app.url)
    press(card(page, order), "Reject…")
    press(card(page, order), "Reject")
    expect(card(page, order).get_by_role("alert")).to_contain_text("Add a reason")
    assert app.get(f"/approvals/{approval_id}")["status"] == "pending"


def test_others_see_a_claim_and_confirm_before_they_decide(
    app: AppProcess, order: str, ask: Callable[..., str], open_window: Window
) -> None:
    approval_id = ask("t", f"Cancel order {order}")
    mine, theirs = open_window(app.url), open_window(app.url)
    press(card(mine, order), "Claim")
    expect(card(mine, order)).to_contain_text("Claimed by you")
    expect(card(theirs, order)).to_contain_text("Claimed by local user until")
    press(card(theirs, order), "Approve")
    expect(card(theirs, order).get_by_role("alert")).to_contain_text("Press Approve again to approve anyway")
    assert app.get(f"/approvals/{approval_id}")["status"] == "pending"
    press(card(mine, order), "Release")
    expect(card(theirs, order)).not_to_contain_text("Claimed by local user")
    press(card(theirs, order), "Approve")
    expect(_decided(mine, order)).to_contain_text("Approved by local user")


def test_a_claim_outlives_a_reload_and_can_be_given_back_from_anywhere(
    app: AppProcess, order: str, ask: Callable[..., str], open_window: Window
) -> None:
    approval_id = ask("t", f"Cancel order {order}")
    page = open_window(app.url)
    press(card(page, order), "Claim")
    expect(card(page, order)).to_contain_text("Claimed by you")
    page.reload()
    expect(card(page, order)).to_contain_text("Claimed by you")
    other = open_window(app.url)
    expect(card(other, order)).to_contain_text("Claimed by local user until")
    press(card(other, order), "Release")
    expect(card(page, order)).not_to_contain_text("Claimed by you")
    assert app.get(f"/approvals/{approval_id}")["claimed_by"] is None


def test_an_edit_is_seen_before_it_is_approved_and_in_the_history_after(
    app: AppProcess, order: str, ask: Callable[..., str], open_window: Window, save: Save
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
    done = _decided(page, "Refund £10.00")
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
    app: AppProcess, order: str, four: list[str], open_window: Window, save: Save
) -> None:
    page = open_window(app.url, viewport=WIDE, color_scheme="dark")
    for text in (order, "1044", "coupon"):
        card(page, text).get_by_role("checkbox").check()
    page.locator(".ss-batch").get_by_role("button", name="Reject…").click()
    confirm = page.locator(".ss-batch-list")
    expect(confirm.locator("li")).to_have_count(3)
    expect(confirm.get_by_role("button", name="Reject these 3")).to_be_disabled()
    confirm.get_by_role("textbox").fill("Not today")
    save(page, "queue-batch-dark")
    app.post(f"/approvals/{four[1]}/decision", {"decision": "approve"})
    expect(card(page, order)).to_have_count(0)
    confirm.get_by_role("button", name="Reject these 3").click()
    results = page.locator(".ss-batch-result")
    expect(results).to_contain_text("2 of 3 rejected.")
    expect(results).to_contain_text("already approved by local user")
    states = [app.get(f"/approvals/{approval_id}") for approval_id in four]
    assert [one["status"] for one in states] == ["rejected", "approved", "pending", "rejected"]
    assert states[0]["reason"] == "Not today"


def test_keys_move_and_act_and_a_stray_one_approves_nothing(
    app: AppProcess, order: str, four: list[str], open_window: Window
) -> None:
    page = open_window(app.url)
    expect(page.locator(".ss-approval")).to_have_count(4)
    page.locator("#ss-approvals h2").focus()
    page.keyboard.press("a")
    page.keyboard.press("j")
    expect(card(page, "coupon")).to_be_focused()
    page.keyboard.press("j")
    expect(card(page, order)).to_be_focused()
    page.keyboard.press("a")
    expect(card(page, order)).to_contain_text("Press a again to approve")
    assert app.get(f"/approvals/{four[1]}")["status"] == "pending"
    page.keyboard.press("c")
    expect(card(page, order)).to_contain_text("Claimed by you")
    page.keyboard.press("a")
    expect(_decided(page, order)).to_contain_text("Approved by local user")
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
    app: AppProcess, order: str, ask: Callable[..., str], open_window: Window
) -> None:
    ask("t", f"Cancel order {order}")
    page, other = open_window(app.url), open_window(app.url)
    waiting = card(page, order)
    waiting.get_by_text("History", exact=True).click()
    expect(waiting.locator(".ss-history")).to_contain_text("Requested by Order changes")
    waiting.get_by_label("Note").fill("<b>called</b> the customer")
    press(waiting, "Add note")
    expect(waiting.locator(".ss-history")).to_contain_text("local user: <b>called</b> the customer")
    expect(card(other, order).get_by_text("History · 1 note")).to_be_visible()


def test_a_card_for_two_leads_says_what_is_missing(
    app: AppProcess, order: str, ask: Callable[..., str], open_window: Window
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
    app: AppProcess, thread_id: str, open_window: Window, save: Save
) -> None:
    page = open_window(app.url, viewport=PHONE)
    app.post("/chat", {"thread_id": thread_id, "message": "I want to talk to a human"})
    page.get_by_role("button", name="1 conversation needs a human").click()
    section = page.get_by_role("region", name="Needs a human")
    expect(section.get_by_role("button", name="conversation")).to_be_focused()
    expect(section).to_contain_text("No webhook configured")
    section.scroll_into_view_if_needed()
    save(page, "queue-phone")
    section.get_by_role("button", name="Done").click()
    expect(section).to_be_hidden()
    assert app.get("/escalations", open="true") == []


def test_a_card_says_that_its_time_runs_out(
    app: AppProcess, order: str, ask: Callable[..., str], open_window: Window
) -> None:
    ask("t", f"Cancel order {order}")
    page = open_window(app.url, clock=True)
    expect(card(page, order).locator(".ss-countdown")).to_contain_text(re.compile("^(30:00|29:)"))
    page.clock.set_fixed_time(page.evaluate("Date.now() / 1000 + 28.5 * 60"))
    expect(page.get_by_role("button", name="1 approval expires in less than 2 minutes")).to_be_visible()
