"""Decisions are held for some seconds: undone, sent, or given up because somebody was first."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Save, Window
from tests.support.console import card, press
from tests.support.harness import AppProcess, demo_orders
from tests.support.kills.traffic import Traffic

SECONDS = 30
T = TypeVar("T")
Ask = Callable[[], tuple[str, str]]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    data_dir: Path = tmp_path_factory.mktemp("undo") / "var"
    with AppProcess(data_dir, UNDO_SECONDS=SECONDS) as running:
        yield running


@pytest.fixture(scope="module")
def orders() -> Iterator[str]:
    return demo_orders("processing")


@pytest.fixture
def ask(app: AppProcess, orders: Iterator[str]) -> Ask:
    """Has a cancellation requested; its order and the approval's id."""

    def request() -> tuple[str, str]:
        order = next(orders)
        body = {"thread_id": f"undo-{order}", "message": f"Cancel order {order}"}
        return order, str(app.post("/chat", body).json()["data"]["approval"]["approval_id"])

    return request


def held(page: Page) -> Locator:
    """What is said about decisions that are not sent."""
    return page.locator(".ss-held-one")


def status(app: AppProcess, approval_id: str) -> str:
    """What is on record."""
    return str(app.get(f"/approvals/{approval_id}")["status"])


def reject(page: Page, order: str, reason: str) -> None:
    press(card(page, order), "Reject…")
    card(page, order).get_by_label("Reason").fill(reason)
    press(card(page, order), "Reject")


def test_an_undone_decision_was_never_made(
    app: AppProcess, ask: Ask, open_window: Window, save: Save
) -> None:
    order, approval_id = ask()
    page = open_window(app.url)
    reject(page, order, "Too late")
    expect(card(page, order)).to_be_hidden()
    expect(held(page)).to_contain_text(f"Reject: Cancel order {order}")
    expect(held(page)).to_contain_text("Sent in")
    save(page, "undo-light")
    press(held(page), "Undo")
    expect(card(page, order).get_by_label("Reason")).to_have_value("Too late")
    expect(held(page)).to_have_count(0)
    assert status(app, approval_id) == "pending"
    kinds = [entry["kind"] for entry in app.get(f"/approvals/{approval_id}/history")]
    assert kinds == ["requested"]


def test_a_held_decision_is_sent_after_its_time(app: AppProcess, ask: Ask, open_window: Window) -> None:
    order, approval_id = ask()
    page = open_window(app.url, prepare=lambda page: page.clock.install(), clock=True)
    press(card(page, order), "Approve")
    expect(card(page, order)).to_be_hidden()
    assert status(app, approval_id) == "pending"
    page.clock.fast_forward(SECONDS * 1000)
    expect(page.locator(".ss-decided").filter(has_text=order)).to_contain_text("Approved")
    assert status(app, approval_id) == "approved"


def test_a_page_that_is_left_sends_nothing_and_says_so(
    app: AppProcess, ask: Ask, open_window: Window
) -> None:
    order, approval_id = ask()
    page = open_window(app.url)
    reject(page, order, "Too late")
    expect(held(page)).to_be_visible()
    page.reload()
    expect(held(page)).to_contain_text(f"Not sent: Reject: Cancel order {order}")
    expect(card(page, order).get_by_label("Reason")).to_have_value("Too late")
    assert status(app, approval_id) == "pending"
    press(held(page), "Dismiss")
    expect(held(page)).to_have_count(0)


def test_somebody_else_was_first(app: AppProcess, ask: Ask, open_window: Window) -> None:
    order, approval_id = ask()
    page = open_window(app.url)
    press(card(page, order), "Approve")
    expect(held(page)).to_be_visible()
    body = {"decision": "reject", "reason": "Packed"}
    assert app.post(f"/approvals/{approval_id}/decision", body).is_success
    expect(held(page)).to_contain_text("Not sent")
    expect(held(page)).to_contain_text("already rejected by local user")


async def _serve(folder: Path, place: str) -> Traffic:
    traffic = Traffic(folder, seed=1)
    traffic.undo_seconds = 1
    assert await traffic.start(place)
    return traffic


@pytest.mark.parametrize("place", ["decided", "held"])
def test_a_server_that_is_killed_around_a_decision_neither_loses_nor_repeats_it(
    tmp_path: Path, open_window: Window, place: str
) -> None:
    """Killed while the decision is held, or when it is on record and this page is not told."""
    with ThreadPoolExecutor(1) as thread:

        def run(work: Coroutine[Any, Any, T]) -> T:
            return thread.submit(asyncio.run, work).result()

        traffic = run(_serve(tmp_path, "decided" if place == "decided" else ""))
        try:
            api = f"{traffic.url}"
            body = {"thread_id": "t", "message": "please strike IT-1"}
            httpx.post(f"{api}/chat", json=body, timeout=30).raise_for_status()
            page = open_window(api.removesuffix("/api/v1"), "t")
            page.route("**/app_id*", lambda route: route.abort())  # Gradio reloads the page otherwise
            press(card(page, "IT-1"), "Approve")
            if place == "held":
                traffic.kill()
            expect(held(page)).to_contain_text("No answer")
            traffic.kill()
            run(traffic.start(port=traffic.port))
            if place == "held":
                expect(held(page)).to_contain_text("It is still pending; decide again.")
                press(held(page), "Dismiss")
                press(card(page, "IT-1"), "Approve")
            expect(page.locator(".ss-decided")).to_contain_text("Carried out")
            expect(held(page)).to_have_count(0)
            expect(card(page, "IT-1")).to_have_count(0)
            (approval,) = httpx.get(f"{api}/approvals").json()["data"]
            history = httpx.get(f"{api}/approvals/{approval['approval_id']}/history").json()["data"]
            assert [one["kind"] for one in history].count("decided") == 1
            assert (tmp_path / "strikes").read_text().split() == ["IT-1"]
        finally:
            traffic.kill()


def test_a_batch_is_held_in_the_list_too(app: AppProcess, ask: Ask, open_window: Window) -> None:
    (one, _), (other, approval_id) = ask(), ask()
    page = open_window(app.url, prepare=lambda page: page.clock.install(), clock=True)
    page.get_by_role("tab", name="Approvals").click()
    for order in (one, other):
        page.locator(".ss-row").filter(has_text=order).get_by_role("checkbox").check()
    batch = page.locator("#ss-approval-list .ss-batch")
    press(batch, "Approve…")
    press(page.locator("#ss-approval-list .ss-batch-list"), "Approve these 2")
    expect(page.locator(".ss-row").filter(has_text=one)).to_have_count(0)
    expect(held(page)).to_contain_text("Approve 2 approvals, ")
    page.keyboard.press("z")
    expect(page.locator(".ss-row").filter(has_text=one)).to_be_visible()
    assert status(app, approval_id) == "pending"
    for order in (one, other):
        page.locator(".ss-row").filter(has_text=order).get_by_role("checkbox").check()
    press(batch, "Approve…")
    press(page.locator("#ss-approval-list .ss-batch-list"), "Approve these 2")
    page.clock.fast_forward(SECONDS * 1000)
    expect(page.locator("#ss-approval-list .ss-batch-result")).to_contain_text("2 of 2 approved.")
    assert status(app, approval_id) == "approved"
