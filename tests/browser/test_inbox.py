"""The Inbox: an escalation is answered, two leads work on one conversation, nothing typed is lost."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml
from playwright.sync_api import APIResponse, Locator, Page, Route, expect

from tests.browser.conftest import PHONE, Save, Window
from tests.support.axe import check_looks
from tests.support.harness import AppProcess, demo_orders
from tests.support.passwords import hash_password

PASSWORD = "correct horse"
ROLES = {"dana": "lead", "robin": "lead", "olga": "operator"}
DESKTOP = {"width": 1440, "height": 900}
Enter = Callable[..., Page]


class Team:
    """The app with users, and what they ask of it over REST."""

    def __init__(self, app: AppProcess) -> None:
        self.url = app.url
        headers = {"Origin": app.url}
        self.orders = demo_orders("processing")
        self.clients = {name: httpx.Client(base_url=app.url, headers=headers, timeout=60) for name in ROLES}
        for name, client in self.clients.items():
            client.post("/login", data={"name": name, "password": PASSWORD})

    def says(self, thread_id: str, message: str, by: str = "olga") -> dict[str, Any]:
        """A customer's message, and the answer."""
        body = {"thread_id": thread_id, "message": message}
        answer = self.clients[by].post("/api/v1/chat", json=body, timeout=30)
        data: dict[str, Any] = answer.json()["data"]
        return data

    def get(self, path: str) -> Any:
        """The `data` of an answer to a lead."""
        return self.clients["dana"].get(f"/api/v1{path}").json()["data"]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("inbox")
    kept = hash_password(PASSWORD)
    people = [{"name": name, "role": role, "password_hash": kept} for name, role in ROLES.items()]
    (folder / "users.yaml").write_text(yaml.safe_dump(people))
    with AppProcess(folder / "var", USERS_FILE=folder / "users.yaml") as app:
        yield Team(app)


@pytest.fixture
def enter(team: Team, open_window: Window) -> Enter:
    """Opens the Inbox as somebody."""

    def entered(name: str, **options: Any) -> Page:
        token = team.clients[name].cookies["smart_support_login"]
        cookie = {"name": "smart_support_login", "value": token, "url": team.url}
        options = {"viewport": DESKTOP, **options}
        page = open_window(team.url, f"chat-{name}", cookies=[cookie], **options)
        page.get_by_role("tab", name="Inbox").click()
        return page

    return entered


def _row(page: Page, text: str) -> Locator:
    return page.locator(".ss-inbox-row").filter(has_text=text)


def _visitor(page: Page, thread_id: str) -> Locator:
    """The row of a conversation whose customer is not known."""
    return _row(page, f"Visitor {thread_id[-4:]}")


def _bubbles(page: Page, role: str) -> Locator:
    return page.locator(f".ss-bubble--{role}")


def test_an_escalation_is_answered_by_one_of_two_leads(
    team: Team, enter: Enter, save: Save, thread_id: str
) -> None:
    team.says(thread_id, "I want to talk to a human")
    dana, robin = enter("dana", color_scheme="dark"), enter("robin")
    for page in (dana, robin):
        page.get_by_role("button", name=re.compile("^Escalated")).click()
        _visitor(page, thread_id).click()
        expect(page.locator(".ss-inbox-banner")).to_contain_text("Needs a human")
    check_looks(dana)
    expect(dana.get_by_role("button", name="Reply as dana")).to_be_visible()
    dana.get_by_role("button", name="Insert the canned reply Checking with the warehouse").click()
    box = dana.get_by_label("Reply to the customer")
    expect(box).to_have_value(re.compile("checking this with our warehouse"))
    box.press("Control+Enter")
    for page, by in ((dana, "You"), (robin, "dana")):
        expect(_bubbles(page, "colleague")).to_contain_text(by)
        expect(_bubbles(page, "colleague")).to_contain_text("our warehouse")
    expect(box).to_have_value("")
    assert [one for one in team.get("/escalations") if not one["handled_by"]] == []
    # Robin can't answer now, and so has no button for it.
    expect(robin.locator(".ss-inbox-banner")).to_contain_text("dana has this conversation")
    expect(robin.get_by_role("button", name="Reply as robin")).to_be_hidden()
    note = robin.get_by_label("Note for your team (the customer does not see it)")
    note.fill("I know them, they are patient.")
    robin.get_by_role("button", name="Add note").first.click()
    for page in (dana, robin):
        expect(_bubbles(page, "note")).to_contain_text("they are patient")
    save(dana, "inbox-dark")
    dana.get_by_role("button", name="Hand back…").click()
    check_looks(dana, PHONE, DESKTOP)
    dana.get_by_label("Note for the agents (optional)").fill("All is said.")
    dana.get_by_role("button", name="Hand back to the agents").click()
    for page in (dana, robin):
        expect(page.locator(".ss-inbox-banner")).to_contain_text("Agents are answering")
    expect(robin.get_by_role("button", name="Reply as robin")).to_be_visible()
    assert team.get(f"/inbox/{thread_id}")["taken_by"] is None


def test_the_list_and_the_conversation_follow_what_happens(
    team: Team, enter: Enter, save: Save, thread_id: str
) -> None:
    team.says(f"{thread_id}-a", "Where is my order 1043?")
    team.says(f"{thread_id}-b", "I want to talk to a human")
    dana = enter("dana")
    expect(dana.get_by_role("button", name=re.compile("^All"))).to_have_attribute("aria-pressed", "true")
    team.says(thread_id, "Where is my order 1042?")
    row = _row(dana, "Maya Chen")
    expect(row).to_contain_text("Order lookup")
    expect(row.get_by_label("Unread")).to_be_visible()
    row.click()
    expect(row.get_by_label("Unread")).to_have_count(0)
    expect(dana.locator(".ss-inbox-steps summary")).to_have_text("Checked tracking info 1042 · 1 step")
    customer = dana.get_by_role("complementary", name="Customer")
    expect(customer).to_contain_text("Maya Chen")
    expect(customer).to_contain_text("Not verified by your website")
    expect(customer).to_contain_text("€124.00")
    team.says(thread_id, "Please cancel order 1042")
    waiting = dana.locator(".ss-inbox-messages .ss-approval")
    expect(waiting).to_contain_text("Cancel order 1042")
    expect(_row(dana, "Maya Chen")).to_contain_text("Waiting for approval")
    expect(customer).to_contain_text("Open approvals")
    save(dana, "inbox-light")
    waiting.get_by_role("button", name=re.compile("^Approve")).click()
    expect(dana.locator(".ss-inbox-line--decided")).to_contain_text("Approved")
    expect(_bubbles(dana, "agent").last).to_contain_text("1042")
    expect(_row(dana, "Maya Chen")).not_to_contain_text("Waiting for approval")
    expect(customer.locator(".ss-things li").filter(has_text="1042")).to_contain_text("Cancelled")
    expect(customer.get_by_text("Open approvals")).to_be_hidden()


def test_a_page_that_comes_late_does_not_undo_what_happened_meanwhile(
    team: Team, enter: Enter, thread_id: str
) -> None:
    team.says(thread_id, "Where is my order 1051?")
    page = enter("dana")
    expect(_row(page, "lookup: Order 1051")).to_be_visible()
    late: list[tuple[Route, APIResponse]] = []
    page.route("**/inbox?filter=active*", lambda route: late.append((route, route.fetch())))
    with page.expect_request("**/inbox?filter=active*"):
        page.locator(".ss-inbox-filters").get_by_role("button", name="Active").click()
    team.says(thread_id, "Where is my order 1053?")
    expect(_row(page, "lookup: Order 1053")).to_be_visible()
    (route, answer) = late[0]
    with page.expect_response("**/inbox?filter=active*") as loaded:
        route.fulfill(response=answer)
    loaded.value.finished()
    expect(page.locator(".ss-inbox-items")).not_to_have_attribute("aria-busy", "true")
    expect(_row(page, "lookup: Order 1053")).to_be_visible()
    expect(_row(page, "lookup: Order 1051")).to_have_count(0)


def test_a_list_that_is_loaded_anew_keeps_the_focus_and_the_click_on_a_row(
    team: Team, enter: Enter, thread_id: str
) -> None:
    for name in "abc":
        team.says(f"{thread_id}-{name}", "Hello")
    page = enter("dana")
    row = _visitor(page, f"{thread_id}-b")
    expect(row).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/inbox?filter=all*", hold)
    with page.expect_request("**/inbox?filter=all*"):
        page.locator(".ss-inbox-filters").get_by_role("button", name="All").click()
    row.hover()
    page.mouse.down()
    with page.expect_response("**/inbox?filter=all*"):
        held[0].continue_()
    expect(page.locator(".ss-inbox-items")).not_to_have_attribute("aria-busy", "true")
    expect(row).to_be_focused()
    page.mouse.up()
    expect(row).to_have_attribute("aria-current", "true")
    expect(page.get_by_label("Reply to the customer")).to_be_visible()


def test_rows_move_once_the_pointer_is_up(team: Team, enter: Enter, thread_id: str) -> None:
    """As in daronyondem/agent-cockpit#68: a list that changed between press and release lost the click."""
    for name in "abc":
        team.says(f"{thread_id}-{name}", "Hello")
    page = enter("dana")
    first, pressed = (_visitor(page, f"{thread_id}-{name}") for name in "ab")
    pressed.hover()
    page.mouse.down()
    team.says(f"{thread_id}-a", "I want to talk to a human")
    team.says(f"{thread_id}-d", "Hello")
    expect(first).to_contain_text("Escalated")
    page.mouse.up()
    expect(pressed).to_have_attribute("aria-current", "true")
    above = page.locator(".ss-inbox-row")
    expect(above.nth(0)).to_contain_text(f"Visitor {thread_id[-2:]}-d")
    expect(above.nth(1)).to_contain_text(f"Visitor {thread_id[-2:]}-a")


def test_what_is_typed_stays_until_it_was_sent_once(team: Team, enter: Enter, thread_id: str) -> None:
    team.says(thread_id, "Hello")
    dana = enter("dana")
    _visitor(dana, thread_id).click()
    box = dana.get_by_label("Reply to the customer")
    box.fill("One moment please.")
    # The answer to the first try is lost: whether it was recorded is not known here.
    lost: list[str] = []

    def lose(route: Any) -> None:
        route.fetch()
        lost.append(route.request.url)
        route.abort()

    dana.get_by_label("Note about this customer").fill("Half of a note")
    dana.route("**/messages", lose)
    dana.get_by_role("button", name="Send").click()
    expect(dana.locator(".ss-inbox-send .ss-problem")).to_be_visible()
    expect(box).to_have_value("One moment please.")
    dana.unroute("**/messages")
    dana.reload()
    dana.get_by_role("tab", name="Inbox").click()
    expect(box).to_have_value("One moment please.")
    dana.get_by_role("button", name="Send").click()
    expect(box).to_have_value("")
    said = [one["content"] for one in team.get(f"/replay/{thread_id}") if one.get("role") == "colleague"]
    assert (said, len(lost)) == (["One moment please."], 1)
    note = dana.get_by_label("Note about this customer")
    expect(note).to_have_value("Half of a note")
    note.press_sequentially(" and the rest")
    dana.route("**/notes", lose)
    add = dana.get_by_role("complementary", name="Customer").get_by_role("button", name="Add note")
    add.click()
    expect(dana.locator(".ss-inbox-customer form .ss-problem")).to_be_visible()
    dana.unroute("**/notes")
    add.click()
    expect(note).to_have_value("")
    noted = [one["content"] for one in team.get(f"/conversations/{thread_id}/notes")]
    assert (noted, len(lost)) == (["Half of a note and the rest"], 2)


def test_a_note_that_is_typed_never_becomes_a_reply(team: Team, enter: Enter, thread_id: str) -> None:
    """The mode changes with the holder, which may happen between two keys (as in chatwoot/chatwoot#14876)."""
    team.says(thread_id, "Hello")
    path = f"/api/v1/conversations/{thread_id}"
    team.clients["robin"].post(f"{path}/takeover")
    dana = enter("dana")
    _visitor(dana, thread_id).click()
    note = dana.get_by_label("Note for your team (the customer does not see it)")
    note.click()
    team.clients["robin"].post(f"{path}/release")
    expect(dana.locator(".ss-inbox-banner")).to_contain_text("Agents are answering")
    dana.keyboard.type("They are rude, ")
    team.clients["robin"].post(f"{path}/takeover")
    expect(dana.locator(".ss-inbox-banner")).to_contain_text("robin has this conversation")
    dana.keyboard.type("be careful")
    dana.keyboard.press("Control+Enter")
    expect(_bubbles(dana, "note")).to_contain_text("They are rude, be careful")
    assert [one for one in team.get(f"/replay/{thread_id}") if one.get("role") == "colleague"] == []


def test_a_reply_goes_to_the_conversation_that_it_was_written_in(
    team: Team, enter: Enter, thread_id: str
) -> None:
    """Also where another one is opened before the answer (chatwoot/chatwoot#11287), once however often it is
    sent (freescout-help-desk/freescout#4596)."""
    threads = [f"{thread_id}-{name}" for name in "ab"]
    for thread in threads:
        team.says(thread, "Hello")
    dana = enter("dana")
    slow: list[Any] = []

    def hold(route: Any) -> None:
        slow.append(route)

    dana.route("**/messages", hold)
    _visitor(dana, threads[1]).click()
    box = dana.get_by_label("Reply to the customer")
    box.fill("For the other one")
    _visitor(dana, threads[0]).click()
    box.fill("For this one")
    with dana.expect_request("**/messages"):
        box.press("Control+Enter")
    box.press("Control+Enter")
    _visitor(dana, threads[1]).click()
    expect(box).to_have_value("For the other one")
    _visitor(dana, threads[0]).click()
    expect(box).to_have_value("For this one")
    dana.get_by_role("button", name="Send").click()
    for request in slow:
        request.continue_()
    expect(box).to_have_value("")
    expect(_bubbles(dana, "colleague")).to_have_count(1)
    assert len(slow) == 1
    said = [one["content"] for one in team.get(f"/replay/{threads[0]}") if one.get("role") == "colleague"]
    assert said == ["For this one"]
    assert [one for one in team.get(f"/replay/{threads[1]}") if one.get("role") == "colleague"] == []
    _visitor(dana, threads[1]).click()
    expect(box).to_have_value("For the other one")


def test_a_half_typed_reason_stays_when_another_lead_decides(
    team: Team, enter: Enter, thread_id: str
) -> None:
    order = next(team.orders)
    approval = team.says(thread_id, f"Please cancel order {order}")["approval"]
    dana = enter("dana")
    _row(dana, f"cancel order {order}").click()
    slot = dana.locator(".ss-inbox-messages .ss-slot")
    slot.get_by_role("button", name=re.compile("^Reject")).click()
    slot.get_by_label("Reason").fill("Half of a reason")
    path = f"/api/v1/approvals/{approval['approval_id']}/decision"
    assert team.clients["robin"].post(path, json={"decision": "approve"}).is_success
    expect(slot).to_contain_text("Already approved by robin")
    expect(slot).to_contain_text("Half of a reason")
    slot.get_by_role("button", name="Dismiss").click()
    expect(slot.locator(".ss-inbox-line--decided")).to_contain_text("Approved")


def test_a_customer_that_comes_late_does_not_undo_a_decision(
    team: Team, enter: Enter, thread_id: str
) -> None:
    order = next(team.orders)
    approval = team.says(thread_id, f"Please cancel order {order}")["approval"]
    dana = enter("dana")
    late: list[tuple[Route, APIResponse]] = []

    def delay_first(route: Route) -> None:
        if late:
            route.continue_()
        else:
            late.append((route, route.fetch()))

    dana.route("**/customer", delay_first)
    _row(dana, f"cancel order {order}").click()
    slot = dana.locator(".ss-inbox-messages .ss-slot")
    expect(slot.get_by_role("button", name=re.compile("^Reject"))).to_be_visible()
    path = f"/api/v1/approvals/{approval['approval_id']}/decision"
    assert team.clients["robin"].post(path, json={"decision": "approve"}).is_success
    expect(slot.locator(".ss-inbox-line--decided")).to_contain_text("Approved")
    customer = dana.get_by_role("complementary", name="Customer")
    expect(customer.locator(".ss-things li").filter(has_text=order)).to_contain_text("Cancelled")
    ((route, answer),) = late
    assert [one["approval_id"] for one in answer.json()["data"]["approvals"]] == [approval["approval_id"]]
    with dana.expect_response("**/customer") as loaded:
        route.fulfill(response=answer)
    loaded.value.finished()
    expect(slot.locator(".ss-inbox-line--decided")).to_contain_text("Approved")
    expect(customer.get_by_text("Open approvals")).to_be_hidden()
    dana.reload()
    dana.get_by_role("tab", name="Inbox").click()
    decided = re.compile(rf"^Approved\s.*{order}.* · robin$")
    expect(slot.locator(".ss-inbox-line--decided")).to_have_text(decided)


def test_who_comes_second_is_told_and_keeps_their_reply(team: Team, enter: Enter, thread_id: str) -> None:
    team.says(thread_id, "Hello")
    dana = enter("dana")
    _visitor(dana, thread_id).click()
    box = dana.get_by_label("Reply to the customer")
    box.fill("I'll look into it.")

    def be_second(route: Any) -> None:
        taken = team.clients["robin"].post(f"/api/v1/conversations/{thread_id}/takeover")
        assert taken.status_code == 200
        route.continue_()

    dana.route("**/takeover", be_second)
    dana.get_by_role("button", name="Send").click()
    problem = dana.locator(".ss-inbox-send .ss-problem")
    expect(problem).to_have_text("robin took this conversation first. Nothing was sent; your reply is kept.")
    expect(dana.locator(".ss-inbox-banner")).to_contain_text("robin has this conversation")
    team.clients["robin"].post(f"/api/v1/conversations/{thread_id}/release")
    expect(box).to_have_value("I'll look into it.")
    assert [one for one in team.get(f"/replay/{thread_id}") if one.get("role") == "colleague"] == []


def test_an_operator_has_their_own_conversations_and_no_dead_button(
    team: Team, enter: Enter, thread_id: str
) -> None:
    team.says(thread_id, "Hello")
    other = f"{thread_id}-dana"
    team.says(other, "Hello", by="dana")
    olga = enter("olga")
    _visitor(olga, thread_id).click()
    expect(_bubbles(olga, "customer")).to_contain_text("Hello")
    expect(_visitor(olga, other)).to_have_count(0)
    for name in ("Take over", "Send", "Add note", "Mine"):
        expect(olga.get_by_role("button", name=re.compile(f"^{name}")).locator("visible=true")).to_have_count(
            0
        )
    expect(olga.get_by_role("complementary", name="Customer")).to_be_hidden()


def test_a_phone_shows_the_list_then_the_conversation_then_the_customer(
    team: Team, enter: Enter, save: Save, thread_id: str
) -> None:
    team.says(thread_id, "Where is my order 1043?")
    dana = enter("dana", viewport=PHONE)
    row = _row(dana, "Jonas Weber").first
    save(dana, "phone-inbox-list-light")
    row.click()
    expect(row).to_be_hidden()
    expect(dana.get_by_label("Reply to the customer")).to_be_visible()
    width = dana.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    save(dana, "phone-inbox-light")
    dana.get_by_role("button", name="Customer", exact=True).click()
    customer = dana.get_by_role("complementary", name="Customer")
    expect(customer).to_contain_text("Jonas Weber")
    save(dana, "phone-inbox-customer-light")
    dana.get_by_role("button", name="Close customer details").click()
    dana.get_by_role("button", name="Back to the list").click()
    expect(_row(dana, "Jonas Weber").first).to_be_focused()


def test_on_a_phone_no_button_covers_what_a_conversation_waits_for(
    team: Team, enter: Enter, thread_id: str
) -> None:
    order = next(team.orders)
    team.says(thread_id, f"Please cancel order {order}")
    dana = enter("dana", viewport=PHONE)
    _row(dana, f"cancel order {order}").click()
    head = dana.locator(".ss-inbox-thread > header")
    expect(head.get_by_text(re.compile("^Waiting for approval"))).to_be_visible()
    # At once: the state is drawn anew with every change.
    assert head.evaluate(
        """head => {
          const state = head.querySelector(".ss-inbox-chips .ss-chip").getBoundingClientRect();
          const buttons = [...head.querySelectorAll(".ss-button")].map((one) => one.getBoundingClientRect());
          const isBeside = (one) => state.right <= one.left || state.left >= one.right;
          const isFree = (one) => isBeside(one) || state.top >= one.bottom;
          return state.right <= innerWidth && buttons.every(isFree);
        }"""
    )


def test_the_keyboard_goes_through_the_list_and_shows_the_shortcuts(
    team: Team, enter: Enter, thread_id: str
) -> None:
    for place in range(2):
        team.says(f"{thread_id}-{place}", "Hello")
    dana = enter("dana")
    expect(_row(dana, "Hello").first).to_be_visible()
    opened = dana.locator(".ss-inbox-row[aria-current]")
    dana.keyboard.press("j")
    expect(opened).to_contain_text(f"{thread_id}-1"[-4:])
    dana.keyboard.press("j")
    expect(opened).to_contain_text(f"{thread_id}-0"[-4:])
    dana.keyboard.press("k")
    expect(opened).to_contain_text(f"{thread_id}-1"[-4:])
    dana.keyboard.press("r")
    expect(dana.get_by_label("Reply to the customer")).to_be_focused()
    dana.keyboard.press("Escape")
    dana.keyboard.press("/")
    expect(dana.get_by_label("Search conversations")).to_be_focused()
    dana.get_by_label("Search conversations").fill(f"{thread_id}-0")
    expect(dana.locator(".ss-inbox-row")).to_have_count(1)
    dana.keyboard.press("Escape")
    dana.locator(".ss-inbox-row").focus()
    dana.keyboard.press("?")
    expect(dana.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("Next conversation")
