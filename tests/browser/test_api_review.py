"""The review of an import: which hosts may be called, whose data it is, and changes that some can't have."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Response, expect

from tests.browser.conftest import PHONE, Save, Window
from tests.support.harness import AppProcess
from tests.support.import_jobs import imported
from tests.support.import_service import document, operation

OWN, OTHER = "https://api.desk.example", "https://files.of-another-company-with-a-long-name.example:8443"
OWNER = {"name": "customer_id", "in": "query", "schema": {"type": "string"}}
SCHEMES = {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}
PATHS = {
    "/orders": {"get": operation("listOrders", parameters=[OWNER]), "delete": operation("deleteOrders")},
    "/orders/{id}": {
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "put": operation("changeOrder"),
    },
    "/orders/search": {"post": operation("searchOrders")},
    "/files": {"servers": [{"url": OTHER}], "get": operation("listFiles", security=[{"key": []}])},
}


@pytest.fixture(scope="module")
def job(server: AppProcess) -> Iterator[dict[str, Any]]:
    """An import in review, which is discarded in the end."""
    spec = document("Order Desk", OWN, PATHS, components={"securitySchemes": SCHEMES})
    job = imported(server, spec, is_approved=False)
    yield job
    server.post(f"/openapi/jobs/{job['job_id']}/remove", {})


def _review(page: Page) -> Locator:
    page.get_by_role("tab", name="API").click()
    desk = page.locator(".ss-api-jobs").get_by_role("button", name="Order Desk")
    desk.click()
    expect(desk).to_have_attribute("aria-pressed", "true")
    expect(desk).to_be_focused()
    return page.locator(".ss-api-review")


def _operation(server: AppProcess, job: dict[str, Any], key: str) -> dict[str, Any]:
    listed = server.get(f"/openapi/jobs/{job['job_id']}/operations")
    return next(one for one in listed if one["key"] == key)


def _is_list_of_operations(response: Response) -> bool:
    """Which the page reads again after it has changed any."""
    return response.request.method == "GET" and response.url.endswith("/operations")


def test_a_host_is_allowed_and_refused(
    server: AppProcess, job: dict[str, Any], open_window: Window, save: Save
) -> None:
    review = _review(page := open_window(server.url, share="never"))
    own, other = (review.get_by_role("switch", name=f"Allow {where}") for where in (OWN, OTHER))
    expect(own).to_be_disabled()
    line = review.locator(".ss-api-hosts li").filter(has_text=OTHER)
    expect(line).to_contain_text("Not allowed")
    expect(line).to_contain_text("1 operation · gets credentials: key")
    other.click()
    expect(line.locator(".ss-chip")).to_have_text("Allowed")
    expect(other).to_be_checked()
    save(page, "api-hosts-light")
    other.click()
    expect(line.locator(".ss-chip")).to_have_text("Not allowed")
    review.get_by_role("button", name="Approve…").click()
    expect(review).to_contain_text(f"1 host not allowed: {OTHER}. Operations there stay disabled.")


def test_the_customer_of_an_operation_is_confirmed(
    server: AppProcess, job: dict[str, Any], open_window: Window, save: Save
) -> None:
    review = _review(page := open_window(server.url, share="never"))
    review.get_by_role("button", name="list_orders", exact=True).click()
    form = review.locator(".ss-api-customer")
    expect(form.get_by_label("Whose data it is")).to_have_value("argument customer_id")
    expect(form.locator(".ss-chip")).to_have_text("Proposed")
    form.get_by_role("button", name="Confirm").click()
    expect(form.locator(".ss-chip")).to_have_text("Confirmed")
    save(page, "api-customer-light")
    confirmed = _operation(server, job, "list_orders")["customer"]
    assert (confirmed["argument"], confirmed["confirmed"]) == ("customer_id", True)
    form.get_by_label("Whose data it is").select_option("Nobody's: about no customer")
    with page.expect_response(_is_list_of_operations):
        form.get_by_role("button", name="Save").click()
    expect(form.get_by_label("Whose data it is")).to_have_value("none")
    assert _operation(server, job, "list_orders")["customer"]["source"] == "none"


def test_a_change_goes_on_without_the_operations_that_can_not_have_it(
    server: AppProcess, job: dict[str, Any], open_window: Window, save: Save
) -> None:
    review = _review(page := open_window(server.url, share="never"))
    review.get_by_role("button", name="Select all 5 shown").click()
    review.get_by_role("button", name="Mark read-only").click()
    problem = review.get_by_role("alert")
    problem.get_by_text("Show 2 operations").click()
    expect(problem.locator("li")).to_contain_text(["DELETE changes something", "PUT changes something"])
    save(page, "api-leave-out-light")
    problem.get_by_role("button", name="Continue without these 2").click()
    expect(problem).to_be_hidden()
    expect(review).to_contain_text("3 automatic, 1 need approval")
    assert _operation(server, job, "search_orders")["access"] == "read"


def test_hosts_customers_and_refusals_fit_on_a_phone(
    server: AppProcess, job: dict[str, Any], open_window: Window, save: Save
) -> None:
    review = _review(page := open_window(server.url, viewport=PHONE, color_scheme="dark", share="never"))
    hosts = review.locator(".ss-api-hosts")
    hosts.scroll_into_view_if_needed()
    save(page, "api-hosts-phone-dark")
    review.get_by_role("button", name="list_orders", exact=True).click()
    customer = review.locator(".ss-api-customer")
    customer.scroll_into_view_if_needed()
    save(page, "api-customer-phone-dark")
    review.get_by_role("button", name="Select all 5 shown").click()
    review.get_by_role("button", name="Mark read-only").click()
    problem = review.get_by_role("alert")
    problem.get_by_text("Show 2 operations").click()
    save(page, "api-leave-out-phone-dark")
    for part in (hosts, customer, problem):
        assert part.evaluate("one => one.scrollWidth <= one.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
