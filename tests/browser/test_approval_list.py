"""The tab "Approvals": the list, its details, keys, filters, and batches."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Locator, Page, Route, WebSocketRoute, expect

from tests.browser.conftest import PHONE, Save, Window
from tests.support import stores
from tests.support.console import press
from tests.support.harness import AppProcess
from tests.support.seeded_approvals import seed_approvals

WIDE = {"width": 1440, "height": 900}
COUNT = 105
REFUNDS = {"a": "Refund £25 of order 1044, it arrived scratched", "b": "Refund £37.80 of order 1044"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """An app with many pending approvals, two of them about one order, with a conversation."""
    data_dir: Path = tmp_path_factory.mktemp("approval-list") / "var"
    if stores.database_url(data_dir):
        pytest.skip("the approvals are seeded into a file")
    seed_approvals(data_dir, COUNT)
    with AppProcess(data_dir) as running:
        for thread_id, message in REFUNDS.items():
            assert running.post("/chat", {"thread_id": thread_id, "message": message}).is_success
        yield running


def open_list(page: Page) -> Locator:
    """Open the tab; its list."""
    page.get_by_role("tab", name="Approvals").click()
    expect(row(page, "order").first).to_be_visible()
    return page.locator(".ss-rows")


def row(page: Page, text: str) -> Locator:
    """The rows that have this text."""
    return page.locator(".ss-row").filter(has_text=text)


def details(page: Page) -> Locator:
    """The details of the selected approval."""
    return page.locator(".ss-details")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_lead_sees_rows_details_and_what_is_pending_twice(
    app: AppProcess, open_window: Window, save: Save, scheme: str
) -> None:
    page = open_window(app.url, viewport=WIDE, color_scheme=scheme)
    rows = open_list(page)
    box = rows.bounding_box()
    assert box
    assert box["height"] // 49 >= 12
    page.get_by_label("Search all approvals").fill("1044")
    expect(page.get_by_text(f"2 of {COUNT + 2} approvals shown")).to_be_visible()
    row(page, "£25.00").get_by_role("button").click()
    shown = details(page)
    expect(shown).to_contain_text("Refund £25 of order 1044, it arrived scratched")
    expect(shown.locator(".ss-related--duplicate")).to_contain_text("Refund £37.80 for order 1044")
    expect(shown.locator(".ss-facts")).to_contain_text("£260.00")
    expect(shown.get_by_role("button", name="Approve refund £25.00 for order 1044")).to_be_visible()
    page.locator("#ss-approval-list h2").focus()
    page.keyboard.press("j")
    expect(shown.get_by_role("heading", name="Refund £37.80 for order 1044")).to_be_visible()
    page.keyboard.press("k")
    expect(shown.get_by_role("heading", name="Refund £25.00 for order 1044")).to_be_visible()
    page.keyboard.press("e")
    shown.get_by_label("amount_cents").fill("1500")
    expect(shown.locator(".ss-edit-outcome")).to_contain_text("£15.00")
    save(page, f"approval-list-{scheme}")
    page.keyboard.press("Escape")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_details_cover_the_list(
    app: AppProcess, open_window: Window, save: Save, scheme: str
) -> None:
    page = open_window(app.url, viewport=PHONE, color_scheme=scheme)
    open_list(page)
    page.get_by_label("Search all approvals").fill("1044")
    row(page, "£25.00").get_by_role("button").click()
    expect(details(page)).to_contain_text("it arrived scratched")
    save(page, f"approval-list-phone-{scheme}")
    press(details(page), "Back to the list")
    expect(details(page)).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_order_and_filters(app: AppProcess, open_window: Window) -> None:
    page = open_window(app.url, viewport=WIDE)
    open_list(page)
    page.get_by_label("Sort by").select_option("amount")
    expect(page.locator(".ss-row-amount").first).to_have_text(f"£{COUNT}.00")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Amount from").fill("9")
    page.get_by_label("Amount to").fill("10")
    expect(page.locator(".ss-row-amount")).to_have_text(["£10.00", "£9.00"])
    press(page.locator(".ss-list-filters"), "Clear filters")
    page.get_by_label("Customer", exact=True).select_option("C-2003")
    expect(row(page, "1044")).to_have_count(2)
    press(page.locator(".ss-list-filters"), "Clear filters")
    page.locator(".ss-list-chips").get_by_role("button", name="High").click()
    expect(page.locator(".ss-risk--red").first).to_be_visible()
    expect(page.locator(".ss-risk--amber")).to_have_count(0)
    # Few of them are in the page, and all can be reached.
    press(page.locator(".ss-list-filters"), "Clear filters")
    page.get_by_label("Sort by").select_option("oldest")
    assert page.locator(".ss-row").count() < 40
    page.locator(".ss-rows").evaluate("rows => { rows.scrollTop = rows.scrollHeight }")
    expect(row(page, f"order {20_000 + COUNT}")).to_be_visible()


def test_the_next_approval_is_the_one_below(data_dir: Path, open_window: Window) -> None:
    """Also after a decision at another place of the list."""
    if stores.database_url(data_dir):
        pytest.skip("the approvals are seeded into a file")
    seed_approvals(data_dir, 10)
    with AppProcess(data_dir) as app:
        page = open_window(app.url, viewport=WIDE, prepare=lambda page: page.clock.install(), clock=True)
        open_list(page)
        page.get_by_label("Sort by").select_option("oldest")
        heading = details(page).get_by_role("heading", level=3)
        for place in (7, 2):
            titles = page.locator(".ss-row-title").all_inner_texts()
            page.locator(".ss-row-open").nth(place).click()
            expect(heading).to_have_text(titles[place])
            details(page).get_by_role("button", name="Reject").click()
            details(page).get_by_label("Reason").fill("Refunded by bank transfer")
            details(page).get_by_role("button", name="Reject").click()
            expect(heading).to_have_text(titles[place + 1])
            expect(page.locator(".ss-details--new")).to_have_count(0)
            expect(details(page).get_by_label("Reason")).to_have_count(0)
        assert len(app.get("/approvals", status="pending")) == 8
        _expect_no_stray_click(page)
        _expect_decided(page, app)


def test_an_answer_that_comes_late_does_not_hide_what_came_of_the_call(
    data_dir: Path, open_window: Window
) -> None:
    """The frame that tells of a failed call overtakes the answer to the decision, and that of the list."""
    if stores.database_url(data_dir):
        pytest.skip("the approvals are seeded into a file")
    seed_approvals(data_dir, 1)
    with AppProcess(data_dir, UNDO_SECONDS=0) as app:
        page = open_window(app.url, viewport=WIDE)
        late: list[tuple[Route, APIResponse]] = []
        page.route("**/decision", lambda route: late.append((route, route.fetch())))
        open_list(page)
        press(details(page), "Approve")
        press(page.locator("#ss-approval-list"), "Decided")
        decided = page.locator(".ss-desk-decided .ss-decided")
        expect(decided).to_contain_text("Approved, not carried out")
        (route, answer) = late[0]
        assert answer.json()["data"]["execution"] == "not_started"
        with page.expect_response("**/decision") as decision:
            route.fulfill(response=answer)
        decision.value.finished()
        page.evaluate("() => new Promise(requestAnimationFrame)")
        expect(decided).to_contain_text("Approved, not carried out")

        page.route("**/approvals?*sort=decided*", _as_before_the_call)
        press(page.locator("#ss-approval-list"), "Back to pending")
        with page.expect_response("**/approvals?*sort=decided*"):
            press(page.locator("#ss-approval-list"), "Decided")
        page.evaluate("() => new Promise(requestAnimationFrame)")
        expect(decided).to_contain_text("Approved, not carried out")


def test_what_ran_while_the_connection_was_away_is_shown(data_dir: Path, open_window: Window) -> None:
    if stores.database_url(data_dir):
        pytest.skip("the approvals are seeded into a file")
    first, second = seed_approvals(data_dir, 2)
    connections: list[WebSocketRoute] = []
    is_away = False

    def connect(socket: WebSocketRoute) -> None:
        if is_away:
            socket.close()
        else:
            socket.connect_to_server()
            connections.append(socket)

    with AppProcess(data_dir) as app:
        app.post(f"/approvals/{first}/decision", {"decision": "reject", "reason": "Paid by bank transfer"})
        page = open_window(
            app.url, viewport=WIDE, prepare=lambda page: page.route_web_socket("**/ws?*", connect)
        )
        open_list(page)
        press(page.locator("#ss-approval-list"), "Decided")
        decided = page.locator(".ss-desk-decided .ss-decided")
        expect(decided).to_have_count(1)
        is_away = True
        connections[-1].close()
        expect(page.locator("#ss-state")).to_contain_text("Connection lost")
        app.post(f"/approvals/{second}/decision", {"decision": "reject", "reason": "Paid by cheque"})
        is_away = False
        expect(decided).to_have_count(2)
        expect(decided.first).to_contain_text("Paid by cheque")


def _as_before_the_call(route: Route) -> None:
    """Answer as the server did before it had run the approved call."""
    page = route.fetch().json()
    for approval in page["data"]:
        approval |= {"execution": "not_started", "execution_reason": None}
    route.fulfill(json=page)


def _expect_no_stray_click(page: Page) -> None:
    """The buttons of an approval that came by itself take no click that was meant for the one before."""
    heading = details(page).get_by_role("heading", level=3)
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    press(details(page), "Reject…")
    details(page).get_by_label("Reason").fill("Paid by bank transfer")
    before = heading.inner_text()
    press(details(page), "Reject")
    expect(heading).not_to_have_text(before)
    shown = heading.inner_text()
    box = details(page).get_by_role("button", name=re.compile("^Approve")).bounding_box()
    assert box
    place = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.click(*place)
    page.clock.run_for(700)
    expect(page.locator(".ss-details--new")).to_have_count(0)
    expect(heading).to_have_text(shown)
    page.clock.resume()
    page.mouse.click(*place)
    expect(heading).not_to_have_text(shown)


def _expect_decided(page: Page, app: AppProcess) -> None:
    """Outcome, who, when, and whether it ran, the latest first."""
    press(page.locator("#ss-approval-list"), "Decided")
    decided = page.locator(".ss-desk-decided .ss-decided")
    expect(decided).to_have_count(4)
    # There is no such order.
    expect(decided.first).to_contain_text("Approved, not carried out")
    expect(decided.first).to_contain_text("Approved by local user")
    expect(decided.first).to_contain_text("just now")
    page.get_by_label("Outcome").select_option("rejected")
    expect(decided).to_have_count(3)
    expect(decided.first).to_contain_text("Paid by bank transfer")
    page.get_by_label("Search decided approvals").fill("Refunded by bank")
    expect(decided).to_have_count(2)
    press(page.locator("#ss-approval-list"), "Back to pending")
    expect(page.locator(".ss-row")).to_have_count(len(app.get("/approvals", status="pending")))


def test_the_conversation_opens_in_the_inbox(app: AppProcess, open_window: Window) -> None:
    page = open_window(app.url, viewport=WIDE)
    open_list(page)
    page.get_by_label("Search all approvals").fill("1044")
    row(page, "£25.00").get_by_role("button").click()
    expect(details(page)).to_contain_text("Aisha Rahman")
    press(details(page), "Open conversation")
    expect(page.locator("#ss-inbox")).to_contain_text("Refund £25 of order 1044, it arrived scratched")


def test_the_row_of_another_approval_that_is_shown_comes_into_view(
    app: AppProcess, open_window: Window
) -> None:
    page = open_window(app.url, viewport=WIDE)
    open_list(page)
    page.get_by_label("Sort by").select_option("oldest")
    search = page.get_by_label("Search all approvals")
    search.fill("1044")
    row(page, "£25.00").get_by_role("button").click()
    search.fill("")
    expect(row(page, "£1.00 for")).to_be_in_viewport()
    expect(row(page, "£37.80")).to_have_count(0)
    details(page).locator(".ss-related--duplicate").get_by_role("button", name="Show").click()
    expect(row(page, "£37.80")).to_be_in_viewport()


def test_two_of_the_same_are_marked_in_a_batch(app: AppProcess, open_window: Window) -> None:
    page = open_window(app.url, viewport=WIDE)
    open_list(page)
    page.get_by_label("Search all approvals").fill("1044")
    for amount in ("£25.00", "£37.80"):
        row(page, amount).get_by_role("checkbox").check()
    press(page.locator("#ss-approval-list .ss-batch"), "Approve…")
    confirm = page.locator("#ss-approval-list .ss-batch-list")
    expect(confirm.get_by_text("possible duplicate")).to_have_count(2)
    press(confirm, "Cancel")


def test_an_order_that_the_customer_did_not_name_is_pointed_out(app: AppProcess, open_window: Window) -> None:
    page = open_window(app.url, viewport=WIDE)
    page.route("**/context", _as_if_another_order_was_named)
    open_list(page)
    page.get_by_label("Search all approvals").fill("1044")
    row(page, "£37.80").get_by_role("button").click()
    expect(details(page).locator(".ss-changed")).to_have_text(
        "The customer names order 1045. This call is for 1044."
    )


def _as_if_another_order_was_named(route: Route) -> None:
    context = route.fetch().json()
    for one in context["data"]["words"]:
        one["content"] = one["content"].replace("1044", "1045")
    route.fulfill(json=context)


def test_over_a_hundred_at_once_and_one_is_refused(app: AppProcess, open_window: Window) -> None:
    page = open_window(app.url, viewport=WIDE)
    open_list(page)
    page.get_by_label("Search all approvals").fill("seeded")
    page.locator(".ss-row").get_by_role("checkbox").first.check()
    press(page.locator("#ss-approval-list .ss-batch"), "Select all")
    total = f"£{COUNT * (COUNT + 1) // 2:,}.00"
    expect(page.locator("#ss-approval-list .ss-batch")).to_contain_text(f"{COUNT} selected, {total} in total")
    press(page.locator("#ss-approval-list .ss-batch"), "Reject…")
    confirm = page.locator("#ss-approval-list .ss-batch-list")
    expect(confirm).to_contain_text(f"{COUNT} selected, {total} in total")
    confirm.get_by_label("Reason").fill("Refunded by bank transfer")
    one = app.get("/approvals", q="order 20007", limit=1)[0]["approval_id"]
    assert app.post(f"/approvals/{one}/decision", {"decision": "approve"}).is_success
    press(confirm, f"Reject these {COUNT}")
    results = page.locator("#ss-approval-list .ss-batch-result")
    # Each of them starts the turn of a conversation.
    expect(results).to_contain_text(f"{COUNT - 1} of {COUNT} rejected.", timeout=60_000)
    expect(results).to_contain_text("already approved by local user")
    expect(page.locator("#ss-approval-list .ss-count")).to_have_text("2")
    expect(results).to_be_visible()
    press(results, "Close")
    expect(results).to_have_count(0)
    assert len(app.get("/approvals", status="rejected", limit=100)) == 100
