"""The Replay tab: find a conversation, step through it, and nothing said in it comes alive."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import PHONE, Save, Window
from tests.support.harness import AppProcess

HOSTILE = "<img src=x onerror=document.title='owned'> \u202e **bold**"
Take = Callable[[str], str]


@pytest.fixture(scope="module")
def told(server: AppProcess, take_order: Take) -> str:
    """A conversation with a write that was approved, and one with hostile words; the order's number."""
    order = take_order("processing")
    thread_id = f"replay-{order}"
    asked = server.post(
        "/chat", {"thread_id": thread_id, "message": f"cancel order {order} and make me a 10% coupon"}
    )
    approval_id = asked.json()["data"]["approval"]["approval_id"]
    server.post(f"/approvals/{approval_id}/decision", {"decision": "reject", "reason": "packed already"})
    server.post("/chat", {"thread_id": thread_id, "message": "thank you"})
    server.post("/chat", {"thread_id": "replay-hostile", "message": HOSTILE})
    return order


def _open(open_window: Window, server: AppProcess, **options: object) -> Page:
    page = open_window(server.url, **options)
    page.get_by_role("tab", name="Replay").click()
    return page


@pytest.mark.parametrize("look", ["light", "dark"])
def test_a_conversation_is_found_and_stepped_through(
    server: AppProcess, told: str, open_window: Window, save: Save, look: str
) -> None:
    page = _open(open_window, server, color_scheme=look)
    page.get_by_role("searchbox", name="Search").fill(f"cancel order {told}")
    found = page.locator(".ss-conversations button")
    expect(found).to_have_count(1)
    found.click()
    steps = page.locator(".ss-step")
    count = len(server.get(f"/replay/replay-{told}"))
    expect(steps).to_have_count(count)
    place = page.locator(".ss-place")
    expect(place).to_have_text(f"Step 1 of {count}")
    # All can be read until somebody steps through it, and a line says what it was.
    expect(page.locator(".ss-timeline.ss-whole")).to_be_visible()
    expect(page.locator(".ss-thread")).to_contain_text("UTC · via REST · 2 messages · ")
    for number in range(2, 6):
        page.keyboard.press("ArrowRight")
        expect(place).to_have_text(f"Step {number} of {count}")
    expect(page.locator(".ss-step.ss-later")).to_have_count(count - 5)
    expect(page.locator(".ss-timeline.ss-whole")).to_have_count(0)
    save(page, f"replay-{look}")
    page.get_by_role("button", name="Last step").click()
    expect(place).to_have_text(f"Step {count} of {count}")
    expect(page.get_by_role("button", name="Next step")).to_be_disabled()
    decision = page.locator(".ss-step--decision")
    expect(decision).to_contain_text("Rejected")
    expect(decision).to_contain_text("packed already")
    expect(page.locator(".ss-step[data-type=tool_result]").first).to_contain_text("Rejected")


def test_filters_say_when_nothing_fits(server: AppProcess, told: str, open_window: Window) -> None:
    page = _open(open_window, server)
    expect(page.locator(".ss-conversations button").first).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("no conversation has these words")
    expect(page.get_by_text("No conversations found")).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("")
    page.get_by_role("region", name="Replay").get_by_label("Agent").select_option("order_actions")
    expect(page.locator(".ss-conversations button").first).to_contain_text("Order changes")


def test_hostile_words_stay_words(server: AppProcess, told: str, open_window: Window) -> None:
    page = _open(open_window, server)
    page.get_by_role("searchbox", name="Search").fill("replay-hostile")
    found = page.locator(".ss-conversations button")
    expect(found).to_have_count(1)
    found.click()
    said = page.locator(".ss-step--customer .ss-said").first
    expect(said).to_contain_text("<img src=x onerror=document.title='owned'> ⟨U+202E⟩ **bold**")
    assert page.locator("#ss-replay img").count() == 0
    assert "owned" not in page.title()


def test_it_fits_a_phone(server: AppProcess, told: str, open_window: Window, save: Save) -> None:
    page = _open(open_window, server, viewport=PHONE)
    expect(page.locator(".ss-conversations button").first).to_be_visible()
    save(page, "phone-replay-list-light")
    page.get_by_role("searchbox", name="Search").fill(f"cancel order {told}")
    found = page.locator(".ss-conversations button")
    expect(found).to_have_count(1)
    found.click()
    expect(page.locator(".ss-place")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    save(page, "phone-replay-light")


def test_the_stepper_stays_and_the_place_is_kept(server: AppProcess, told: str, open_window: Window) -> None:
    page = _open(open_window, server, viewport=PHONE)
    page.get_by_role("searchbox", name="Search").fill(f"cancel order {told}")
    found = page.locator(".ss-conversations button")
    expect(found).to_have_count(1)
    found.click()
    count = len(server.get(f"/replay/replay-{told}"))
    page.get_by_role("button", name="Last step").click()
    expect(page.locator(".ss-stepper")).to_be_in_viewport(ratio=1)
    expect(page.locator(".ss-now")).to_be_in_viewport()
    page.keyboard.press("ArrowLeft")
    place = page.locator(".ss-place")
    expect(place).to_have_text(f"Step {count - 1} of {count}")
    page.get_by_role("tab", name="Console").click()
    with page.expect_response(f"**/api/v1/replay/replay-{told}/outline"):
        page.get_by_role("tab", name="Replay").click()
    expect(page.locator(".ss-step")).to_have_count(count)
    expect(place).to_have_text(f"Step {count - 1} of {count}")


def test_a_card_is_seen_as_it_looked_and_another_decision_is_tried(
    server: AppProcess, told: str, open_window: Window
) -> None:
    page = open_window(server.url)
    page.goto(f"{server.url}/?thread=replay-{told}#replay")
    effect = page.locator(".ss-step--interrupt .ss-effect").first
    expect(effect).to_contain_text("processing")
    expect(effect).to_contain_text("cancelled")
    page.get_by_role("button", name="What if it had been approved?").click()
    answer = page.get_by_role("region", name="What if")
    expect(answer.locator(".ss-diff--now", has_text="Decision: Approved")).to_be_visible()
    expect(answer.locator(".ss-diff--then", has_text="packed already").first).to_be_visible()
    page.get_by_role("button", name="What if the arguments were different?").click()
    field = page.get_by_role("form", name="Arguments to try").get_by_label("order_id")
    expect(field).to_have_value(told)
    field.fill("9999")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".ss-what-if-args .ss-what-if-answer")).to_contain_text("9999")
    assert server.pending(f"replay-{told}") == server.pending("what-if") == []


def test_the_back_button_leads_to_what_was_open_before(
    server: AppProcess, told: str, open_window: Window
) -> None:
    page = open_window(server.url, f"chat-{told}")
    page.get_by_role("tab", name="Analytics").click()
    page.get_by_role("tab", name="Replay").click()
    page.locator(f"[data-thread='replay-{told}']").click()
    expect(page).to_have_url(re.compile(f"thread=chat-{told}&tab=replay&replay=replay-{told}"))
    page.get_by_role("button", name="Next step").click()
    expect(page).to_have_url(re.compile("step=2"))
    page.reload()
    expect(page.locator(".ss-place")).to_have_text(re.compile("Step 2 of"))
    page.go_back()
    expect(page.locator(".ss-steps .ss-choose")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("tab", name="Analytics")).to_have_attribute("aria-selected", "true")
    page.go_forward()
    page.go_forward()
    expect(page.locator(".ss-step").first).to_be_visible()
    page.get_by_role("link", name="Open conversation").click()
    expect(page).to_have_url(re.compile(rf"\?thread=replay-{told}$"))


def test_thoughts_of_a_model_are_folded(
    server: AppProcess, told: str, open_window: Window, save: Save
) -> None:
    def with_thoughts(route: Route) -> None:
        answer = route.fetch()
        page = answer.json()
        for step in page["data"]:
            if step["type"] == "message" and step["role"] == "agent":
                step["reasoning"] = "The customer wants it cancelled."
        route.fulfill(response=answer, json=page)

    def add_thoughts(page: Page) -> None:
        page.route("**/api/v1/replay/replay-*?*", with_thoughts)

    page = _open(open_window, server, prepare=add_thoughts, share="always")
    page.get_by_role("searchbox", name="Search").fill(f"cancel order {told}")
    found = page.locator(".ss-conversations button")
    expect(found).to_have_count(1)
    found.click()
    thoughts = page.get_by_text("The customer wants it cancelled.").first
    expect(thoughts).to_be_attached()
    expect(thoughts).to_be_hidden()
    page.get_by_text("Reasoning of the model").first.click()
    expect(thoughts).to_be_visible()
