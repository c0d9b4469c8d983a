"""Links to decide: opening one decides nothing, its form decides once, with the rights of the console."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from smart_support import clock
from smart_support.notifications.decide_links import DecideLink, DecideLinks
from tests.support.guarded import KEYS, PASSWORD
from tests.support.harness import AppProcess, demo_orders

Orders = Callable[[str], str]
PAGE = {"Accept": "text/html"}


def _link(app: AppProcess, approval: dict[str, Any], link_id: str = "") -> str:
    """A link as a notification has it."""
    key = (app.data_dir / "secret.key").read_bytes().strip()
    return DecideLinks(key, app.url).make(approval["approval_id"], link_id or clock.new_id())


def _request(app: AppProcess, message: str, **headers: str) -> dict[str, Any]:
    """The approval that a message leads to."""
    answer = httpx.post(f"{app.url}/api/v1/chat", json={"message": message}, headers=headers, timeout=60)
    approval: dict[str, Any] = answer.json()["data"]["approval"]
    return approval


def _form(page: httpx.Response) -> str:
    return re.findall(r'name="form" value="(\w+)"', page.text)[0]


def _decide(client: httpx.Client, link: str, decision: str = "approve", **fields: str) -> httpx.Response:
    """Open a link, send its form, and follow to what that shows."""
    data = {"form": _form(client.get(link)), "decision": decision, "reason": "No."} | fields
    return client.post(link, data=data, headers={"Origin": link.partition("/decide/")[0]})


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=True, timeout=60, headers=PAGE) as client:
        yield client


@pytest.fixture
def approval(server: AppProcess, take_order: Orders) -> dict[str, Any]:
    return _request(server, f"Cancel order {take_order('changeable')}")


def _now(app: AppProcess, approval: dict[str, Any]) -> dict[str, Any]:
    return dict(app.get(f"/approvals/{approval['approval_id']}"))


def test_opening_it_shows_the_whole_card_and_decides_nothing(
    server: AppProcess, browser: httpx.Client, approval: dict[str, Any]
) -> None:
    link = _link(server, approval)
    for headers in ({}, {"Sec-Purpose": "prefetch"}, {"User-Agent": "Slackbot-LinkExpanding 1.0"}):
        page = browser.get(link, headers=headers)
        assert page.status_code == 200
    browser.head(link)
    browser.get(f"{link}?decision=approve&form={_form(page)}&reason=x")
    for shown in (approval["summary"], approval["action"], approval["args"]["order_id"], "Customer"):
        assert shown in page.text
    assert f"{approval['customer_id']} <span" in page.text
    assert "Not verified by your website" in page.text
    assert "Cancel order" in page.text.partition("Last messages")[2]
    assert page.headers["cache-control"] == "no-store"
    assert _now(server, approval)["status"] == "pending"


def test_its_form_decides_and_is_on_record(
    server: AppProcess, browser: httpx.Client, approval: dict[str, Any]
) -> None:
    link = _link(server, approval)
    shown = _decide(browser, link)
    assert (shown.status_code, str(shown.url)) == (200, link)
    assert "Approved by local user" in shown.text
    assert "<form" not in shown.text
    decided = _now(server, approval)
    assert (decided["status"], decided["decided_via"]) == ("approved", "link")
    (entry,) = [
        one for one in server.get(f"/approvals/{approval['approval_id']}/history") if one["kind"] == "decided"
    ]
    assert (entry["actor"], entry["via"]) == ("local user", "link")


def test_a_rejection_needs_a_reason_and_keeps_what_was_typed(
    server: AppProcess, browser: httpx.Client, approval: dict[str, Any]
) -> None:
    link = _link(server, approval)
    refused = _decide(browser, link, "reject", reason="  ")
    assert refused.status_code == 422
    assert "Add a reason" in refused.text
    assert _now(server, approval)["status"] == "pending"
    assert "Rejected by local user" in _decide(browser, link, "reject", reason="Too <b>late</b>").text
    assert _now(server, approval)["reason"] == "Too <b>late</b>"
    assert "<b>late" not in browser.get(link).text


def test_two_at_once_decide_once(server: AppProcess, approval: dict[str, Any]) -> None:
    links = [_link(server, approval, "same")] * 2 + [_link(server, approval)]
    with httpx.Client(timeout=60, headers=PAGE) as client, ThreadPoolExecutor(6) as threads:
        forms = [_form(client.get(link)) for link in links]
        sent = [
            threads.submit(client.post, link, data={"form": form, "decision": decision, "reason": "No."})
            for link, form in zip(links, forms, strict=True)
            for decision in ("approve", "reject")
        ]
        statuses = sorted(one.result().status_code for one in sent)
    assert statuses == [303, 409, 409, 409, 409, 409]
    history = server.get(f"/approvals/{approval['approval_id']}/history")
    assert [one["kind"] for one in history].count("decided") == 1


@pytest.mark.parametrize("form", ["", "0" * 64, "of another link"])
def test_a_form_that_does_not_fit_decides_nothing(
    server: AppProcess, browser: httpx.Client, approval: dict[str, Any], form: str
) -> None:
    if form == "of another link":
        form = _form(browser.get(_link(server, approval)))
    refused = _decide(browser, _link(server, approval), form=form)
    assert refused.status_code == 409
    assert "Check it again" in refused.text
    assert _now(server, approval)["status"] == "pending"


def test_another_site_can_t_send_the_form(
    server: AppProcess, browser: httpx.Client, approval: dict[str, Any]
) -> None:
    link = _link(server, approval)
    data = {"form": _form(browser.get(link)), "decision": "approve"}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert browser.post(link, data=data, headers=headers).status_code == 403
    assert _now(server, approval)["status"] == "pending"


def _forged(token: str, app: AppProcess, other: str) -> Iterator[str]:
    header, payload, signature = token.split(".")

    def part(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    yield f"{header}.{part(claims | {'sub': other})}.{signature}"
    yield f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."
    yield f"{header}.{payload}.{signature[:-2]}"
    yield token[:-20]
    yield DecideLinks(b"another key", "").make(claims["sub"], claims["jti"]).rpartition("/")[2]
    yield "x"


def test_a_link_that_is_not_ours_shows_nothing(
    server: AppProcess, browser: httpx.Client, approval: dict[str, Any]
) -> None:
    link = _link(server, approval)
    base, _, token = link.rpartition("/")
    for forged in _forged(token, server, approval["approval_id"][:-1] + "0"):
        page = browser.get(f"{base}/{forged}")
        assert page.status_code == 404
        assert "This link can&#39;t be used" in page.text
        assert approval["summary"] not in page.text
        assert browser.post(f"{base}/{forged}", data={"decision": "approve"}).status_code == 404


def test_a_link_belongs_to_one_form_user_and_card() -> None:
    links, link = DecideLinks(b"key", ""), DecideLink("a", "l")
    token = links.form_token(link, "dana", "shown")
    others = [
        links.form_token(DecideLink("b", "l"), "dana", "shown"),
        links.form_token(DecideLink("a", "m"), "dana", "shown"),
        links.form_token(link, "kim", "shown"),
        links.form_token(link, "dana", "other"),
        DecideLinks(b"other", "").form_token(link, "dana", "shown"),
    ]
    assert token not in others


def test_words_from_outside_are_no_markup(
    server: AppProcess, browser: httpx.Client, thread_id: str, take_order: Orders
) -> None:
    evil = "<img src=x onerror=alert(1)>\u202e"
    server.post("/chat", {"thread_id": thread_id, "message": f"Hello {evil}"})
    message = f"Cancel order {take_order('changeable')}"
    approval = server.post("/chat", {"thread_id": thread_id, "message": message}).json()["data"]["approval"]
    page = browser.get(_link(server, approval))
    assert "<img src=x" not in page.text
    assert "&lt;img src=x onerror=alert(1)&gt;⟨U+202E⟩" in page.text


def test_a_frozen_call_can_be_approved_and_waits(
    server: AppProcess, browser: httpx.Client, approval: dict[str, Any]
) -> None:
    scope = f"tool:{approval['action']}"
    server.post("/freeze", {"scope": scope, "reason": "a test"})
    try:
        link = _link(server, approval)
        assert "Writes are frozen" in browser.get(link).text
        _decide(browser, link)
        assert _now(server, approval)["execution"] == "not_started"
    finally:
        httpx.delete(f"{server.url}/api/v1/freeze/{scope}", timeout=30)


def test_an_edited_call_is_shown_as_it_was_decided(
    server: AppProcess, browser: httpx.Client, take_order: Orders
) -> None:
    before, after = take_order("changeable"), take_order("changeable")
    approval = _request(server, f"Cancel order {before}")
    link = _link(server, approval)
    form = _form(browser.get(link))
    edit = {"decision": "edit", "args": {"order_id": after}}
    assert server.post(f"/approvals/{approval['approval_id']}/decision", edit).status_code == 200
    late = browser.post(link, data={"form": form, "decision": "approve"})
    assert late.status_code == 409
    assert "Approved with changes by local user" in late.text
    assert after in late.text.partition("Exact call")[2].partition("</dl>")[0]


# Where people log in


@pytest.fixture
def dana(guarded: AppProcess) -> Iterator[Callable[[str], httpx.Client]]:
    """Makes browsers in which somebody has logged in."""
    opened: list[httpx.Client] = []

    def log_in(name: str) -> httpx.Client:
        client = httpx.Client(follow_redirects=True, timeout=60, headers=PAGE)
        opened.append(client)
        answer = client.post(f"{guarded.url}/login", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 200
        return client

    yield log_in
    for client in opened:
        client.close()


def test_it_leads_to_the_login_and_back(
    guarded: AppProcess, browser: httpx.Client, take_order: Orders
) -> None:
    approval = _request(guarded, f"Cancel order {take_order('changeable')}", **{"X-API-Key": KEYS["op"]})
    link = _link(guarded, approval)
    login = browser.get(link)
    assert login.url.path == "/login"
    assert approval["summary"] not in login.text
    body = {"name": "lee", "password": PASSWORD, "next": login.url.params["next"]}
    opened = browser.post(f"{guarded.url}/login", data=body)
    assert str(opened.url) == link
    assert approval["summary"] in opened.text
    # A login that has ended meanwhile leads there, too.
    form = _form(opened)
    browser.post(f"{guarded.url}/logout", headers={"Origin": guarded.url})
    again = browser.post(link, data={"form": form, "decision": "approve"}, headers={"Origin": guarded.url})
    assert again.url.path == "/login"
    assert httpx.get(link, timeout=30).status_code == 401


def test_somebody_who_may_not_decide_sees_nothing(guarded: AppProcess, take_order: Orders) -> None:
    operator = {"X-API-Key": KEYS["op"]}
    approval = _request(guarded, f"Cancel order {take_order('changeable')}", **operator)
    link = _link(guarded, approval)
    for answer in (
        httpx.get(link, headers=operator, timeout=30),
        httpx.post(link, headers=operator, data={"decision": "approve"}, timeout=30),
    ):
        assert answer.status_code == 403
        assert approval["summary"] not in answer.text


def test_who_requested_it_can_t_approve_it_and_a_colleague_can(
    guarded: AppProcess, dana: Callable[[str], httpx.Client], take_order: Orders
) -> None:
    lee, mia = dana("lee"), dana("mia")
    body = {"message": f"Cancel order {take_order('changeable')}"}
    answer = lee.post(f"{guarded.url}/api/v1/chat", json=body)
    approval = answer.json()["data"]["approval"]
    link = _link(guarded, approval)
    refused = _decide(lee, link)
    assert refused.status_code == 403
    assert "You requested this. Another lead must approve." in refused.text
    # The link is forwarded: the form of one is of no use to another, who decides under their own name.
    form = _form(lee.get(link))
    assert _decide(mia, link, form=form).status_code == 409
    assert "Approved by mia" in _decide(mia, link).text
    decided = mia.get(f"{guarded.url}/api/v1/approvals/{approval['approval_id']}").json()["data"]
    assert (decided["decided_by"], decided["decided_via"]) == ("mia", "link")


def test_a_link_is_used_up_by_the_first_of_two_leads(
    guarded: AppProcess, dana: Callable[[str], httpx.Client]
) -> None:
    lee, mia = dana("lee"), dana("mia")
    *_, order = demo_orders("processing", plain=True)
    message = f"Apply a 10% discount to order {order}"
    approval = _request(guarded, message, **{"X-API-Key": KEYS["op"]})
    link = _link(guarded, approval)
    form = _form(mia.get(link))
    voted = _decide(lee, link)
    assert "Approved once by lee. A second lead must approve it too." in voted.text
    assert "This link has been used" in voted.text
    assert "<form" not in mia.get(link).text
    late = mia.post(link, data={"form": form, "decision": "approve"}, headers={"Origin": guarded.url})
    assert late.status_code == 409
    assert "Approved by lee and mia" in _decide(mia, _link(guarded, approval)).text
