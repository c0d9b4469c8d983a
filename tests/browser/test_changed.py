"""Changed since you looked, as a lead sees it: the card comes back and says what is different."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, Save, Window
from tests.support.console import clear_approvals
from tests.support.harness import AppProcess
from tests.support.import_jobs import imported
from tests.support.shop_api import description, shop_api


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with AppProcess(tmp_path_factory.mktemp("changed") / "var", ALLOWED_HOSTS="127.0.0.1") as started:
        yield started


@pytest.fixture
def app(running: AppProcess) -> Iterator[AppProcess]:
    """The app of all these tests, in which nothing waits before each."""
    yield running
    clear_approvals(running.url)


def test_a_card_that_is_out_of_date_comes_back_with_what_changed(
    app: AppProcess, open_window: Window, save: Save
) -> None:
    app.post("/chat", {"thread_id": "a", "message": "give me 10% off order 1042"})
    move = "change the address of 1042 to 5 Rue Neuve, 69001 Lyon, France"
    app.post("/chat", {"thread_id": "b", "message": move})
    page = open_window(app.url, thread_id="a")
    cards = page.locator(".ss-approval")
    expect(cards).to_have_count(2)
    cards.filter(has_text="update_shipping_address").get_by_role("button", name="Approve").click()
    expect(cards).to_have_count(1)
    # Not in the very moment of the other call, where nothing could be done but to refuse.
    expect(page.locator(".ss-decided", has_text="shipping address")).to_contain_text("Carried out")
    page.locator(".ss-approval").get_by_role("button", name="Approve").click()
    again = page.locator(".ss-approval", has_text="This changed after it was approved")
    expect(again).to_contain_text("shipping address")
    expect(again).to_contain_text("5 Rue Neuve, 69001 Lyon, France")
    expect(page.locator(".ss-leaving")).to_have_count(0)
    save(page, "console-changed-light")
    again.get_by_role("button", name="Approve").click()
    expect(page.locator("#ss-chat-side")).to_contain_text("10% off and costs €111.60")


def test_a_changed_operation_shows_old_and_new_in_the_review_and_on_the_card(
    app: AppProcess, open_window: Window, save: Save
) -> None:
    with shop_api() as api:
        imported(app, description(api.url))
        app.post("/chat", {"thread_id": "c", "message": "Delete ticket 12"})
        page = open_window(app.url, thread_id="c")
        card = page.locator(".ss-approval")
        expect(card.locator(".ss-target")).to_have_text(f"Sends DELETE to {api.url}/tickets/{{ticket_id}}")
        spec = description(api.url)
        ticket = spec["paths"].pop("/tickets/{ticket_id}")
        words = "Delete a ticket with its history, attachments and notes. It is final."
        ticket["delete"] |= {"summary": "Erase a ticket", "description": words}
        ticket["parameters"][0]["schema"] = {"type": "integer", "minimum": 1, "description": "Its number."}
        spec["paths"]["/v2/tickets/{ticket_id}"] = ticket
        job = imported(app, spec, is_approved=False)
        page.get_by_role("tab", name="API").click()
        page.locator(".ss-api-jobs").get_by_role("button", name="Ticket Desk").first.click()
        page.get_by_role("button", name="delete_ticket", exact=True).click()
        changes = page.get_by_role("list", name="Changed since the live import")
        expect(changes).to_contain_text("/v2/tickets/{ticket_id}")
        changes.scroll_into_view_if_needed()
        save(page, "api-changes-light")
        app.post(f"/openapi/jobs/{job['job_id']}/approve", {})
        page.get_by_role("tab", name="Console").click()
        card.get_by_role("button", name="Approve").click()
        again = page.locator(".ss-approval", has_text="This changed after it was approved")
        expect(again).to_contain_text(words)
        expect(again.locator(".ss-target")).to_contain_text("/v2/tickets/{ticket_id}")
        save(page, "card-changes-light")
        phone = open_window(app.url, viewport=PHONE, color_scheme="dark", thread_id="c")
        phone.get_by_role("button", name="1 pending").click()
        changed = phone.locator(".ss-approval .ss-changed")
        changed.scroll_into_view_if_needed()
        expect(changed).to_be_visible()
        address = phone.locator(".ss-target code").last
        assert address.evaluate(
            "one => one.getBoundingClientRect().right <= one.closest('article').clientWidth"
        )
        save(phone, "card-changes-phone-dark")
