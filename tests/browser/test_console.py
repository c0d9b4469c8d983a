"""The console as people use it: ask, see the card, decide in another window, read the answer in the first."""

import re
from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE
from tests.support.console import card, chat, press, say, waiting
from tests.support.harness import AppProcess

Take = Callable[[str], str]
Window = Callable[..., Page]
Save = Callable[[Page, str], None]


def ask_to_cancel(page: Page, order: str) -> None:
    """Ask, and see both what the customer sees and the card."""
    say(page, f"Please cancel order {order}")
    expect(waiting(page)).to_contain_text("Waiting for approval")
    expect(card(page, order)).to_be_visible()


def test_approved_in_a_second_window_answered_in_the_first(
    server: AppProcess, open_window: Window, thread_id: str, take_order: Take, save: Save
) -> None:
    order = take_order("changeable")
    first, second = open_window(server.url, thread_id), open_window(server.url)
    ask_to_cancel(first, order)
    save(first, "console-pending-light")
    expect(first).to_have_title(re.compile(r"^\(\d+\) Smart Support$"))
    shown = card(second, order)
    expect(shown).to_contain_text("Cancel order")
    expect(shown).to_contain_text("cancelled")
    press(shown, "Approve")
    expect(chat(first)).to_contain_text("Approved by")
    expect(chat(first)).to_contain_text("Called cancel_order")
    expect(chat(first).locator(".bot.message").last).to_contain_text(f"{order} is cancelled")
    for page in (first, second):
        expect(card(page, order)).to_have_count(0)
        expect(page.locator(".ss-decided").filter(has_text=order)).to_contain_text("Approved")
    expect(first.locator(".ss-leaving")).to_have_count(0)
    save(first, "console-approved-light")
    first.locator("#ss-look").click()
    save(first, "console-approved-dark")


def test_the_answer_names_its_agent_and_shows_its_steps(
    server: AppProcess, open_window: Window, thread_id: str, take_order: Take, save: Save
) -> None:
    order = take_order("shipped")
    page = open_window(server.url, thread_id)
    say(page, f"Where is order {order}?")
    expect(chat(page)).to_contain_text("Order lookup")
    step = chat(page).get_by_text("Called get_tracking_info")
    step.click()
    expect(chat(page).locator(".ss-pre").first).to_contain_text(order)
    save(page, "console-step-light")
    # What is opened in one conversation is not open in the next one.
    page.get_by_role("button", name="New chat").click()
    expect(step).to_have_count(0)
    say(page, f"Where is order {order}?")
    expect(step).to_be_visible()
    expect(chat(page).locator(".ss-pre").locator("visible=true")).to_have_count(0)


def test_a_rejection_is_shown_with_its_reason(
    server: AppProcess, open_window: Window, thread_id: str, take_order: Take, save: Save
) -> None:
    order = take_order("changeable")
    page = open_window(server.url, thread_id)
    ask_to_cancel(page, order)
    press(card(page, order), "Reject…")
    card(page, order).get_by_label("Reason").fill("The parcel is packed already")
    save(page, "console-reject-light")
    press(card(page, order), "Reject")
    expect(chat(page).locator(".ss-wait--rejected")).to_contain_text("The parcel is packed already")
    expect(chat(page)).to_contain_text("rejected")
    assert server.get("/approvals", status="rejected")[0]["reason"] == "The parcel is packed already"
    assert server.pending(thread_id) == []


def test_an_edit_runs_with_the_new_value(
    server: AppProcess, open_window: Window, thread_id: str, save: Save
) -> None:
    page = open_window(server.url, thread_id)
    say(page, "Give me a coupon with 17% off")
    expect(waiting(page)).to_be_visible()
    approval = server.pending(thread_id)[0]
    mine = page.locator(f"[data-approval-id='{approval['approval_id']}']")
    press(mine, "Edit")
    field = mine.get_by_label("percent")
    field.fill("lots")
    press(mine, "Approve with changes")
    expect(mine.get_by_role("alert")).to_contain_text("enter a number")
    field.fill("6.5")
    press(mine, "Approve with changes")
    expect(mine.get_by_role("alert")).to_contain_text("enter a whole number")
    field.fill("6")
    save(page, "console-edit-light")
    press(mine, "Approve with changes")
    expect(chat(page).locator(".ss-wait--edited")).to_contain_text("Approved with changes")
    expect(chat(page)).to_contain_text("6%")
    decided = server.get(f"/approvals/{approval['approval_id']}")
    assert (decided["status"], decided["args"]["percent"]) == ("edited", 6)


def test_a_reload_while_pending_comes_back(
    server: AppProcess, open_window: Window, thread_id: str, take_order: Take
) -> None:
    order = take_order("changeable")
    page = open_window(server.url, thread_id)
    ask_to_cancel(page, order)
    page.reload()
    expect(chat(page)).to_contain_text(f"Please cancel order {order}")
    expect(waiting(page)).to_contain_text("Waiting for approval")
    press(card(page, order), "Approve")
    expect(chat(page).locator(".bot.message").last).to_contain_text(f"{order} is cancelled")


def test_the_thread_is_kept_without_the_address(server: AppProcess, open_window: Window) -> None:
    page = open_window(server.url)
    say(page, "Let me talk to a human, please")
    expect(chat(page)).to_contain_text("Handed over to a human")
    page.goto(server.url)
    expect(chat(page)).to_contain_text("Let me talk to a human")
    page.get_by_role("button", name="New chat").click()
    expect(chat(page)).not_to_contain_text("Let me talk to a human")
    page.reload()
    expect(page.locator(".examples")).to_be_visible()


def test_what_is_typed_stays_with_its_card(
    server: AppProcess, open_window: Window, thread_id: str, take_order: Take
) -> None:
    one, two = take_order("changeable"), take_order("changeable")
    page, other = open_window(server.url, thread_id), open_window(server.url, f"{thread_id}-other")
    ask_to_cancel(other, one)
    ask_to_cancel(page, two)
    expect(card(page, one)).to_be_visible()
    press(card(page, two), "Reject…")
    reason = card(page, two).get_by_label("Reason")
    reason.press_sequentially("Half of a")
    press(card(other, one), "Approve")
    expect(card(page, one)).to_have_count(0)
    expect(reason).to_be_focused()
    page.keyboard.type(" sentence")
    expect(reason).to_have_value("Half of a sentence")
    press(card(page, two), "Reject")
    expect(chat(page).locator(".ss-wait--rejected")).to_contain_text("Half of a sentence")
    outcomes = {item["args"].get("order_id"): item["status"] for item in server.get("/approvals", limit=100)}
    assert (outcomes[one], outcomes[two]) == ("approved", "rejected")


def test_a_person_at_a_card_sees_that_another_decided_first(
    server: AppProcess, open_window: Window, thread_id: str, take_order: Take
) -> None:
    order = take_order("changeable")
    page = open_window(server.url, thread_id)
    ask_to_cancel(page, order)
    press(card(page, order), "Reject…")
    approval_id = server.pending(thread_id)[0]["approval_id"]
    mine = page.locator(f"[data-approval-id='{approval_id}']")
    assert server.post(f"/approvals/{approval_id}/decision", {"decision": "approve"}).status_code == 200
    expect(mine.get_by_role("alert")).to_contain_text(re.compile("Already approved by .+ at "))
    press(mine, "Dismiss")
    expect(mine).to_have_count(0)


def test_a_decision_that_comes_second_is_refused(
    server: AppProcess, open_window: Window, thread_id: str, take_order: Take
) -> None:
    """The window is deaf to changes of approvals, as if its news were still on their way."""

    def deafen(page: Page) -> None:
        def pass_on(route: Any) -> None:
            upstream = route.connect_to_server()
            upstream.on_message(
                lambda text: (
                    None
                    if '"type":"approval"' in text
                    and "decided_at" in text
                    and '"status":"pending"' not in text
                    else route.send(text)
                )
            )

        page.route_web_socket(re.compile(r"/ws\?"), pass_on)

    order = take_order("processing")
    page = open_window(server.url, thread_id, prepare=deafen)
    ask_to_cancel(page, order)
    approval_id = server.pending(thread_id)[0]["approval_id"]
    assert server.post(f"/approvals/{approval_id}/decision", {"decision": "reject"}).status_code == 200
    mine = page.locator(f"[data-approval-id='{approval_id}']")
    press(mine, "Approve")
    expect(mine.get_by_role("alert")).to_contain_text(re.compile("Already rejected by .+ at "))
    assert server.get(f"/approvals/{approval_id}")["status"] == "rejected"


def test_an_example_is_one_click(server: AppProcess, open_window: Window, thread_id: str, save: Save) -> None:
    page = open_window(server.url, thread_id)
    save(page, "console-empty-light")
    page.get_by_role("button", name=re.compile("Where is my order 1043")).click()
    expect(chat(page)).to_contain_text("Where is my order 1043?")
    expect(chat(page)).to_contain_text("Order lookup")
    expect(page.locator(".examples")).to_have_count(0)


def test_what_is_typed_is_text_and_fetches_nothing(
    server: AppProcess, open_window: Window, thread_id: str
) -> None:
    page = open_window(server.url, thread_id)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    text = '<img src=x onerror="document.title=1"> ![a](http://evil.example/a.png) **bold** <form><b>x</b>'
    say(page, text)
    expect(chat(page).locator(".user.message")).to_have_text(text)
    expect(chat(page).locator(".bot.message").first).to_be_visible()
    assert chat(page).locator("img, form, input").count() == 0
    assert [url for url in asked if not url.startswith(server.url)] == []
    page_headers = httpx.get(server.url, timeout=60).headers
    assert "default-src 'self'" in page_headers["Content-Security-Policy"]
    assert page_headers["Referrer-Policy"] == "same-origin"


def test_a_message_over_rest_shows_up_live(server: AppProcess, open_window: Window, thread_id: str) -> None:
    page = open_window(server.url, thread_id)
    server.post("/chat", {"thread_id": thread_id, "message": "hello from the phone"})
    expect(chat(page)).to_contain_text("hello from the phone")
    expect(chat(page).locator(".bot.message").last).to_be_visible()


def test_bad_input_is_explained_and_kept(server: AppProcess, open_window: Window, thread_id: str) -> None:
    page = open_window(server.url, thread_id)
    say(page, "x" * 10_001)
    expect(page.locator("#ss-outbox").get_by_role("alert")).to_contain_text("10000")
    expect(page.get_by_label("Message", exact=True)).to_have_value("x" * 10_001)


def test_by_keyboard_alone(server: AppProcess, open_window: Window, thread_id: str, take_order: Take) -> None:
    order = take_order("changeable")
    page = open_window(server.url, thread_id)
    ask_to_cancel(page, order)
    waiting(page).get_by_role("button", name="Review").press("Enter")
    approve = card(page, order).get_by_role("button", name="Approve")
    expect(approve).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(card(page, order).get_by_label("Reason")).to_be_focused()
    page.keyboard.press("Escape")
    expect(card(page, order).get_by_role("button", name="Reject…")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(chat(page).locator(".ss-wait--approved")).to_be_visible()
    # The focus has gone to the next card or to the heading, not to nowhere.
    page.wait_for_function("document.querySelector('.ss-panel').contains(document.activeElement)")


def test_on_a_phone(
    server: AppProcess, open_window: Window, thread_id: str, take_order: Take, save: Save
) -> None:
    order = take_order("changeable")
    page = open_window(server.url, thread_id, viewport=PHONE, has_touch=True)
    save(page, "phone-empty-light")
    ask_to_cancel(page, order)
    save(page, "phone-chat-light")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.locator("#ss-pending").tap()
    # Others may wait, too: it leads to the first of them.
    first = page.locator(".ss-approval").first.get_by_role("button", name="Approve")
    expect(first).to_be_in_viewport(ratio=1)
    save(page, "phone-approvals-light")
    expect(card(page, order)).to_be_visible()
    for button in card(page, order).locator(".ss-button:visible").all():
        box = button.bounding_box()
        assert box
        assert box["height"] >= 44
    card(page, order).get_by_role("button", name="Approve").tap()
    expect(chat(page).locator(".ss-wait--approved")).to_have_count(1)
    page.locator("#ss-look").tap()
    save(page, "phone-approved-dark")


def test_dark_follows_the_system_until_chosen(
    server: AppProcess, open_window: Window, thread_id: str, save: Save
) -> None:
    page = open_window(server.url, thread_id, color_scheme="dark")
    expect(page.locator("body.dark")).to_be_visible()
    save(page, "console-empty-dark")
    page.locator("#ss-look").click()
    expect(page.locator("body:not(.dark)")).to_be_visible()
    page.reload()
    expect(page.locator("#ss-state")).to_have_attribute("data-state", "live")
    expect(page.locator("body:not(.dark)")).to_be_visible()


def test_an_idle_console_draws_nothing(server: AppProcess, open_window: Window, thread_id: str) -> None:
    count = """
        const request = window.requestAnimationFrame.bind(window);
        window.requests = 0;
        window.requestAnimationFrame = (callback) => { window.requests += 1; return request(callback); };
        window.idleFrames = async (left) => {
            while (left > 0) {
                const before = window.requests;
                await new Promise(request);
                left = window.requests === before ? left - 1 : left;
            }
            return true;
        };
    """
    page = open_window(server.url, thread_id, prepare=lambda page: page.add_init_script(count))
    assert page.evaluate("Promise.race([idleFrames(10), new Promise((done) => setTimeout(done, 20000))])")
