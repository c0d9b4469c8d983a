"""Failed notifications in the console, and the page of a link to decide on a phone."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from smart_support.notifications.decide_links import DecideLinks
from tests.browser.conftest import Save, Window
from tests.support.axe import PHONE, WIDE, check_looks
from tests.support.harness import AppProcess
from tests.support.notifications import SECRET
from tests.support.webhook import Webhook


@pytest.fixture(scope="module")
def receiver() -> Iterator[Webhook]:
    with Webhook() as hook:
        yield hook


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, receiver: Webhook) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("notifications")
    os.environ["BROWSER_HOOK_SECRET"] = SECRET
    target = {"name": "backoffice", "type": "webhook", "url": receiver.url}
    target |= {"secret_env": "BROWSER_HOOK_SECRET", "events": "approval.requested"}
    (folder / "notify.yaml").write_text(json.dumps({"targets": [target]}))
    with AppProcess(folder / "var", NOTIFY_FILE=folder / "notify.yaml") as running:
        yield running


def _request(app: AppProcess, message: str) -> dict[str, Any]:
    approval: dict[str, Any] = app.post("/chat", {"message": message}).json()["data"]["approval"]
    return approval


def _link(app: AppProcess, approval_id: str) -> str:
    key = (Path(app.data_dir) / "secret.key").read_bytes().strip()
    return DecideLinks(key, app.url).make(approval_id, "link")


def test_a_failed_notification_is_listed_until_it_is_sent_again(
    app: AppProcess, receiver: Webhook, open_window: Window, save: Save
) -> None:
    receiver.answers = [410]
    _request(app, "Cancel order 1042")
    receiver.senders.get(timeout=30)
    page = open_window(app.url)
    section = page.get_by_role("region", name="Failed notifications")
    section.scroll_into_view_if_needed()
    expect(section).to_contain_text("Approval requested · backoffice")
    expect(section).to_contain_text("Answered 410.")
    save(page, "failed-notifications")
    section.get_by_role("button", name="Send again").click()
    receiver.senders.get(timeout=30)
    expect(section).to_be_hidden()
    assert app.get("/notifications", status="failed") == []


def test_a_lead_decides_on_a_phone(app: AppProcess, open_window: Window, save: Save) -> None:
    approval = _request(app, "Cancel order 1042")
    page = open_window(app.url, viewport=PHONE)
    page.goto(_link(app, approval["approval_id"]))
    expect(page.get_by_role("heading", level=1)).to_have_text(approval["summary"])
    check_looks(page, WIDE, PHONE)
    page.get_by_role("button", name="Reject…").click()
    expect(page.get_by_role("button", name="Approve")).to_be_hidden()
    check_looks(page, WIDE, PHONE)
    save(page, "decide-dark")
    page.get_by_label("Reason (shown to the customer)").fill("It has been shipped.")
    page.get_by_role("button", name="Reject", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Rejected by local user")
    check_looks(page, WIDE, PHONE)
    page.goto(f"{app.url}/decide/of-nobody")
    expect(page.get_by_role("heading", level=1)).to_have_text("This link can't be used")
    check_looks(page)


def test_a_link_to_what_has_expired(data_dir: Path, open_window: Window, save: Save) -> None:
    with AppProcess(data_dir, APPROVAL_TTL_SECONDS=1) as app:
        approval = _request(app, "Cancel order 1042")
        page = open_window(app.url)
        expect(page.locator(".ss-decided")).to_contain_text("Expired without a decision")
        page.goto(_link(app, approval["approval_id"]))
        expect(page.get_by_role("status")).to_have_text("Expired without a decision")
        expect(page.get_by_role("button")).to_have_count(0)
        check_looks(page, WIDE, PHONE)
        save(page, "decide-expired-dark")
