"""Every tab, light and dark, wide and on a phone: nothing that axe objects to, and a clean browser log."""

from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Save, Window
from tests.support.axe import PHONE, WIDE, check_looks, expect_no_violations, expect_width
from tests.support.console import card, chat, press, say, waiting
from tests.support.examples import IS_NIGHTLY
from tests.support.guarded import PASSWORD
from tests.support.harness import AppProcess
from tests.support.import_jobs import imported
from tests.support.import_service import document, operation

Take = Callable[[str], str]


def check(page: Page, sizes: tuple[dict[str, int], ...] = (WIDE, PHONE)) -> None:
    """Look at a page in both sizes, the first in light and the second in dark; at night in all four looks."""
    for size in sizes:
        page.set_viewport_size(size)
        expect_width(page, size["width"])
        for _ in range(2 if IS_NIGHTLY else 1):
            expect_no_violations(page)
            page.locator("#ss-look").click()


def watch(page: Page, log: list[str]) -> None:
    """Note all errors, warnings and refused requests of a page."""
    page.on("console", lambda m: log.append(m.text) if m.type in ("error", "warning") else None)
    page.on("response", lambda r: log.append(f"{r.status} {r.url}") if r.status >= 400 else None)


def test_nothing_is_wrong_with_any_tab(
    server: AppProcess, open_window: Window, thread_id: str, take_order: Take, save: Save
) -> None:
    order = take_order("changeable")
    log: list[str] = []
    page = open_window(server.url, thread_id, reduced_motion="reduce", prepare=lambda page: watch(page, log))
    check(page)
    say(page, f"Please cancel order {order}")
    expect(waiting(page)).to_be_visible()
    expect(card(page, order)).to_be_visible()
    server.post(
        f"/approvals/{server.pending(thread_id)[0]['approval_id']}/decision",
        {"decision": "reject", "reason": "It has left."},
    )
    expect(chat(page).locator(".ss-wait--rejected")).to_be_visible()
    say(page, f"Please cancel order {order}")
    expect(waiting(page)).to_be_visible()
    for place, tab in enumerate(page.locator("#ss-tabs > .tab-wrapper [role=tab]").all()):
        tab.click()
        name = tab.inner_text()
        if name == "Analytics":
            expect(page.locator(".ss-chart").first).to_be_visible()
            page.get_by_role("button", name="Export…").click()
        if name == "Replay":
            page.locator(f"[data-thread='{thread_id}']").click()
            page.locator(".ss-what-if-edit").first.click()
            expect(page.locator(".ss-what-if-args input").first).to_be_visible()
        check(page, (WIDE, PHONE) if place % 2 else (PHONE, WIDE))
        page.set_viewport_size(PHONE)
        save(page, f"tab-{name.lower()}-phone")
    page.set_viewport_size(WIDE)
    with page.expect_response("**/mcp/schema"):
        page.get_by_text("Use via API").click()
    expect(page.get_by_text("API documentation")).to_be_visible()
    assert log == []


def test_nothing_is_wrong_with_what_opens_over_a_page(
    server: AppProcess, open_window: Window, thread_id: str, take_order: Take, save: Save
) -> None:
    """Dialogs, forms, decided approvals, and an import under review."""
    *orders, rejected = [take_order("changeable") for _ in range(3)]
    for order in (*orders, rejected):
        body = {"thread_id": f"{thread_id}-{order}", "message": f"Please cancel order {order}"}
        approval = server.post("/chat", body).json()["data"]["approval"]
    decision = {"decision": "reject", "reason": "It has left."}
    assert server.post(f"/approvals/{approval['approval_id']}/decision", decision).is_success
    spec = document("Parcel Desk", "https://api.parcels.example", {"/parcels": {"get": operation("list")}})
    job = imported(server, spec, is_approved=False)
    page = open_window(server.url, viewport=WIDE, reduced_motion="reduce")
    page.get_by_role("button", name="Freeze…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    check_looks(page)
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Approvals").click()
    for order in orders:
        page.locator(".ss-row").filter(has_text=order).get_by_role("checkbox").check()
    press(page.locator("#ss-approval-list .ss-batch"), "Reject…")
    page.locator(".ss-row-open").first.click()
    page.locator(".ss-details").get_by_role("button", name="Edit").click()
    check_looks(page)
    press(page.locator("#ss-approval-list"), "Decided")
    expect(page.locator(".ss-desk-decided .ss-decided").first).to_be_visible()
    check_looks(page)
    press(page.locator("#ss-approval-list"), "Back to pending")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    check_looks(page)
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="API").click()
    page.locator(".ss-api-jobs").get_by_role("button", name="Parcel Desk").click()
    review = page.locator(".ss-api-review")
    review.get_by_role("button", name="list", exact=True).click()
    review.get_by_role("button", name="Approve…").click()
    check_looks(page)
    save(page, "over-import-light")
    server.post(f"/openapi/jobs/{job['job_id']}/remove", {})


def test_the_login_page(guarded: AppProcess, browser: Browser, save: Save) -> None:
    log: list[str] = []
    context = browser.new_context(viewport=PHONE, color_scheme="dark")
    page = context.new_page()
    watch(page, log)
    page.goto(f"{guarded.url}/login")
    expect(page.get_by_label("Name")).to_be_focused()
    expect_no_violations(page)
    assert log == []
    page.keyboard.type("lee")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Wrong name or password.")
    expect(page.get_by_label("Name")).to_have_value("lee")
    expect(page.get_by_label("Password")).to_be_focused()
    check_looks(page, WIDE, PHONE)
    save(page, "login-dark-phone")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#ss-state")).to_have_text("Live")
    context.close()


def test_by_keyboard_alone(server: AppProcess, open_window: Window, thread_id: str, take_order: Take) -> None:
    """Each tab is opened, a message sent and an approval decided; the focus is always seen."""
    page = open_window(server.url, thread_id)
    tabs = page.locator("#ss-tabs > .tab-wrapper [role=tab]")
    for tab in tabs.all():
        _reach(page, f"document.activeElement.textContent.trim() === {tab.inner_text().strip()!r}")
        page.keyboard.press("Enter")
        expect(tab).to_have_attribute("aria-selected", "true")
    _reach(page, f"document.activeElement.textContent.trim() === {tabs.first.inner_text().strip()!r}")
    page.keyboard.press("Enter")
    _reach(page, "document.activeElement.matches('#ss-message textarea')")
    page.keyboard.type(f"Please cancel order {take_order('changeable')}")
    page.keyboard.press("Enter")
    expect(waiting(page)).to_be_visible()
    approval = server.pending(thread_id)[0]["approval_id"]
    expect(page.locator(f"[data-approval-id='{approval}']").first).to_be_visible()
    _reach(
        page,
        "document.activeElement.closest('[data-approval-id]')?.dataset.approvalId === "
        f"'{approval}' && document.activeElement.textContent.trim().startsWith('Approve')",
    )
    page.keyboard.press("Enter")
    expect(chat(page).locator(".ss-wait--approved")).to_be_visible()


def _reach(page: Page, condition: str) -> None:
    """Press Tab until the focus is where it should be; each control that gets it shows it."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate(condition):
            assert page.evaluate(_IS_SEEN), page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
            return
    raise AssertionError(f"the focus never came to {condition}")


_IS_SEEN = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.boxShadow !== 'none' || style.outlineStyle !== 'none';
}"""
