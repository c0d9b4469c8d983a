"""The API tab as an admin uses it: an address in, operations reviewed, approved, and used in the chat."""

from collections.abc import Iterator

import orjson
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Save, Window
from tests.support.harness import AppProcess
from tests.support.shop_api import ShopApi, description, shop_api

LONG = "/a-path-that-is-longer-than-any-phone-is-wide/{with}/several_names_in_it/{and_more}.json"
# What a browser does when somebody lets a file go over an element.
DROP = """([where, name, text]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], name));
  const drop = new DragEvent("drop", { dataTransfer: transfer, bubbles: true });
  document.querySelector(where).dispatchEvent(drop);
}"""


@pytest.fixture
def api() -> Iterator[ShopApi]:
    with shop_api() as running:
        yield running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with AppProcess(tmp_path_factory.mktemp("imports") / "var", ALLOWED_HOSTS="127.0.0.1") as started:
        yield started


@pytest.fixture
def app(running: AppProcess) -> Iterator[AppProcess]:
    """The app of all these tests, with an empty list of imports before each."""
    yield running
    for job in running.get("/openapi/jobs"):
        if job["status"] != "removed":
            assert running.post(f"/openapi/jobs/{job['job_id']}/remove", {}).status_code == 200


def _opened(page: Page, url: str) -> None:
    page.get_by_role("tab", name="API").click()
    page.get_by_label("URL", exact=True).fill(url)
    page.get_by_role("button", name="Import", exact=True).click()


def test_an_api_is_pasted_reviewed_approved_and_used(
    app: AppProcess, api: ShopApi, open_window: Window, save: Save
) -> None:
    page = open_window(app.url, thread_id="api")
    _opened(page, f"{api.url}/openapi.json")
    review = page.locator(".ss-api-review")
    expect(review.get_by_role("heading", name="Ticket Desk")).to_be_visible()
    expect(review).to_contain_text("6 operations, 5 enabled: 2 automatic, 3 need approval")
    line = review.locator("li").filter(has_text="POST /tickets/search")
    expect(line).to_contain_text("Possibly read-only")
    review.get_by_role("button", name="search_tickets").click()
    expect(line).to_contain_text("Mark it read-only if it changes nothing")
    line.get_by_label("Read-only").check()
    save(page, "api-review")
    line.get_by_role("button", name="Save").click()
    expect(review).to_contain_text("3 automatic, 2 need approval")
    review.get_by_role("button", name="Approve…").click()
    expect(review).to_contain_text("No credentials are saved")
    review.get_by_role("button", name="Cancel").click()
    page.get_by_label("Key of key").fill("secret-key-1")
    page.get_by_role("button", name="Save credentials").click()
    expect(review.get_by_text("Saved", exact=True)).to_be_visible()
    assert "secret-key-1" not in page.content()
    review.get_by_role("button", name="get_ticket").click()
    review.get_by_text("Try it").first.click()
    review.get_by_label("Arguments as JSON").first.fill('{"ticket_id": 4}')
    review.get_by_role("button", name="Call it now").first.click()
    expect(review).to_contain_text("GET /tickets/4 is done.")
    review.get_by_role("button", name="Approve…").click()
    expect(review).to_contain_text("5 operations will be available as tools: 3 automatic, 2 need approval")
    expect(review).not_to_contain_text("No credentials are saved")
    review.get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator(".ss-api-jobs")).to_contain_text("Enabled")
    page.get_by_role("tab", name="Console").click()
    page.get_by_placeholder("Write a message").fill("Delete ticket 12")
    page.get_by_role("button", name="Send").click()
    card = page.locator(".ss-approval")
    expect(card).to_contain_text("Delete a ticket (Ticket Desk): ticket id 12")
    card.get_by_role("button", name="Approve").click()
    expect(page.locator("#ss-chat-side")).to_contain_text("DELETE /tickets/12 is done.")
    assert len(api.calls("DELETE", "/tickets/12")) == 1


def test_filters_bulk_and_a_refusal(app: AppProcess, api: ShopApi, open_window: Window, save: Save) -> None:
    page = open_window(app.url, color_scheme="dark")
    _opened(page, f"{api.url}/openapi.json")
    review = page.locator(".ss-api-review")
    review.get_by_label("Search operations").fill("delete")
    expect(review.locator(".ss-api-line")).to_have_count(2)
    review.get_by_role("button", name="Select all 2 shown").click()
    review.get_by_role("button", name="Disable", exact=True).click()
    expect(review).to_contain_text("6 operations, 4 enabled")
    review.get_by_role("button", name="Select all 2 shown").click()
    review.get_by_label("Search operations").fill("search")
    review.get_by_role("button", name="Select all 1 shown").click()
    review.get_by_role("button", name="Mark read-only").click()
    expect(review).to_contain_text("3 automatic, 1 need approval")
    review.get_by_label("Agent for the selected operations").fill("Not a name")
    review.get_by_role("button", name="Move").click()
    expect(review.get_by_role("alert")).to_contain_text("is not valid")
    save(page, "api-dark")


def test_what_can_not_be_imported_is_told(app: AppProcess, open_window: Window, save: Save) -> None:
    page = open_window(app.url, viewport=PHONE)
    _opened(page, "http://10.0.0.1/openapi.json")
    expect(page.locator(".ss-api-review")).to_contain_text("SMART_SUPPORT_ALLOWED_HOSTS")
    page.get_by_role("button", name="Discard").click()
    expect(page.locator(".ss-api-jobs li")).to_have_count(0)


def test_a_dropped_file_is_reviewed_on_a_phone(app: AppProcess, open_window: Window, save: Save) -> None:
    page = open_window(app.url, viewport=PHONE)
    page.get_by_role("tab", name="API").click()
    spec = orjson.dumps(description("https://desk.example", **{LONG: {"get": {"summary": "Look"}}})).decode()
    page.evaluate(DROP, [".ss-api-form", "desk.json", spec])
    review = page.locator(".ss-api-review")
    expect(review).to_contain_text("7 operations")
    expect(page.locator(".ss-api-jobs")).to_contain_text("desk.json")
    review.get_by_role("button", name="list_tickets").click()
    assert review.evaluate("each => each.scrollWidth <= each.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    save(page, "api-phone")
