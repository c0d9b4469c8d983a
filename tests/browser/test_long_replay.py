"""The Replay tab with much in it: a conversation of thousands of steps, and a list of more than a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import PHONE, Window
from tests.support.harness import AppProcess, run_python
from tests.support.recorded_month import LONG

STEPS = 3_000
CONVERSATIONS = 60
MOST_IN_PAGE = 400
FEW_STEPS = "most => document.querySelectorAll('.ss-step').length < most"
# Whether the step of that number is marked, and seen.
AT = """number => {
    const now = document.querySelector(".ss-now");
    if (now?.dataset.place !== String(number - 1)) return false;
    const { top, bottom } = now.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
}"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    data_dir: Path = tmp_path_factory.mktemp("long") / "var"
    month = ("-m", "tests.support.recorded_month", str(data_dir), str(CONVERSATIONS), str(STEPS))
    run_python(*month).check_returncode()
    with AppProcess(data_dir) as app:
        yield app


def _opened(open_window: Window, app: AppProcess, step: int = 0, **options: Any) -> Page:
    """The page as a link to a step opens it."""
    return open_window(f"{app.url}/?thread={LONG}{f'&step={step}' if step else ''}#replay", **options)


def _slide(page: Page, step: int) -> None:
    page.get_by_role("slider", name="Step").fill(str(step))


def test_any_step_of_a_long_conversation_is_near(app: AppProcess, open_window: Window) -> None:
    page = _opened(open_window, app)
    read: list[str] = []
    page.on("request", lambda request: read.append(request.url) if "/replay/" in request.url else None)
    place = page.locator(".ss-place")
    expect(place).to_have_text("Step 1 of 3,000")
    _slide(page, 2702)
    expect(place).to_have_text("Step 2,702 of 3,000")
    page.wait_for_function(AT, arg=2702)
    told = app.get(f"/replay/{LONG}", after=3 * 2701, limit=1)[0]
    now = page.locator(".ss-now")
    assert told["type"] == "tool_call"
    now.get_by_text("Details").click()
    expect(now.locator("pre").last).to_contain_text(f'"seq": {told["seq"]},')
    # Only what is near was read, and what is around came without moving it.
    assert len(read) < 10
    for key, number in (("ArrowRight", 2703), ("End", 3000), ("ArrowLeft", 2999), ("Home", 1)):
        page.locator(".ss-steps").focus()
        page.keyboard.press(key)
        page.wait_for_function(AT, arg=number)
    # Somebody drags over all of it: the page they stop at is there, and those they passed are not.
    for number in range(150, 3000, 250):
        _slide(page, number)
    page.wait_for_function(AT, arg=2900)
    page.wait_for_function(FEW_STEPS, arg=MOST_IN_PAGE)


def test_it_is_scrolled_through_from_a_linked_step(app: AppProcess, open_window: Window) -> None:
    page = _opened(open_window, app, step=1500)
    page.wait_for_function(AT, arg=1500)
    expect(page.locator(".ss-place")).to_have_text("Step 1,500 of 3,000")
    # The steps in sight, once there are some and the first is before a place. Looked at and read at once:
    # a moment later the list may be empty, because pages come and go.
    seen_before = """first => {
        const places = [...document.querySelectorAll(".ss-step")].filter((step) => {
            const { top, bottom } = step.getBoundingClientRect();
            return bottom > 0 && top < innerHeight;
        }).map((step) => Number(step.dataset.place));
        return places[0] < first ? places : null;
    }"""
    # Up over many pages that come and go: each look finds steps, in order, before those of the look before.
    page.mouse.move(900, 500)
    first = 1500
    for _ in range(12):
        page.mouse.wheel(0, -4000)
        places = page.wait_for_function(seen_before, arg=first).json_value()
        assert places == list(range(places[0], places[0] + len(places)))
        first = places[0]
    assert first < 1200
    page.wait_for_function(FEW_STEPS, arg=MOST_IN_PAGE)
    # The tab is left and opened again: the place is kept.
    page.get_by_role("tab", name="Console").click()
    page.get_by_role("tab", name="Replay").click()
    expect(page.locator(".ss-place")).to_have_text("Step 1,500 of 3,000")


def test_what_one_looks_for_is_gone_to(app: AppProcess, open_window: Window) -> None:
    page = _opened(open_window, app)
    problems = page.get_by_role("button", name="12 problems")
    for number in (1, 2):
        problems.click()
        problems = page.get_by_role("button", name=f"{number} of 12 problems")
        page.wait_for_function(AT, arg=number * 250 - 2)
    words = page.get_by_role("searchbox", name="Search this conversation")
    words.fill("no. 555:")
    words.press("Enter")
    page.wait_for_function(AT, arg=554 * 5 + 1)
    expect(page.locator(".ss-search-status")).to_have_text("1 of 1")
    words.fill("nobody said that")
    words.press("Enter")
    expect(page.locator(".ss-search-status")).to_have_text("No matches")
    # It plays on over the end of a page.
    _slide(page, 2799)
    page.wait_for_function(AT, arg=2799)
    page.get_by_role("button", name="▶ Play").click()
    page.wait_for_function(AT, arg=2802)
    page.get_by_role("button", name="Pause").click()
    raw = page.get_by_role("link", name="Raw JSON").get_attribute("href")
    whole = httpx.get(f"{app.url}{raw}", timeout=60).json()
    assert [step["seq"] for step in whole["data"]] == [3 * place for place in range(1, STEPS + 1)]
    assert whole["meta"] == {"next_cursor": None}
    test = page.get_by_role("link", name="Save as test").get_attribute("href")
    assert httpx.get(f"{app.url}{test}", timeout=60).text.count("where is order 1042?") == STEPS // 5


def test_what_can_not_be_read_is_tried_again(app: AppProcess, open_window: Window) -> None:
    pages = f"**/api/v1/replay/{LONG}?*"

    def fail(page: Page) -> None:
        page.route(pages, lambda route: route.abort())

    page = _opened(open_window, app, prepare=fail, share="always")
    again = page.get_by_role("button", name="Try again").first
    expect(again).to_be_visible()
    page.unroute(pages)
    again.click()
    expect(page.locator(".ss-step").first).to_be_visible()


def test_a_linked_step_is_in_sight_on_a_phone(app: AppProcess, open_window: Window) -> None:
    lists: list[Route] = []

    def hold(page: Page) -> None:
        page.route("**/api/v1/conversations?*", lambda route: lists.append(route))  # noqa: PLW0108

    page = _opened(open_window, app, step=1500, viewport=PHONE, prepare=hold, share="always")
    page.wait_for_function(AT, arg=1500)
    # The list above comes last, and moves nothing.
    for route in lists:
        route.continue_()
    expect(page.locator(".ss-conversations button").first).to_be_attached()
    page.wait_for_function(AT, arg=1500)


def test_more_conversations_are_loaded(app: AppProcess, open_window: Window) -> None:
    page = open_window(app.url, viewport=PHONE)
    page.get_by_role("tab", name="Replay").click()
    listed, more = page.locator(".ss-conversations button"), page.get_by_role("button", name="Load more")
    for count in (25, 50):
        expect(listed).to_have_count(count)
        more.click()
    expect(listed).to_have_count(CONVERSATIONS + 1)
    expect(more).to_be_hidden()
    threads = listed.evaluate_all("all => all.map((one) => one.dataset.thread)")
    assert threads == [one["thread_id"] for one in app.get("/conversations", limit=100)]
    # From a conversation on a phone there is a way back to the list, however far down.
    listed.filter(has_text="No. 1:").click()
    page.wait_for_function(AT, arg=1)
    page.get_by_role("button", name="Last step").click()
    page.wait_for_function(AT, arg=STEPS)
    page.get_by_role("button", name="Back to the list of conversations").click()
    expect(page.get_by_role("searchbox", name="Search", exact=True)).to_be_in_viewport()
