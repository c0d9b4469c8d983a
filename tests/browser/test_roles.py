"""What each role sees of the console: an operator what is theirs, and nothing that would only be refused."""

from pathlib import Path

import httpx
import pytest
import yaml
from playwright.sync_api import Page, expect

from tests.browser.conftest import Window
from tests.support.console import chat, press, say, waiting
from tests.support.harness import AppProcess
from tests.support.passwords import hash_password

PASSWORD = "correct horse"


@pytest.mark.nightly
def test_an_operator_sees_their_own_and_a_lead_more(tmp_path: Path, open_window: Window) -> None:
    kept = hash_password(PASSWORD)
    roles = {"olga": "operator", "lee": "lead"}
    people = [{"name": name, "role": role, "password_hash": kept} for name, role in roles.items()]
    (tmp_path / "users.yaml").write_text(yaml.safe_dump(people))
    with AppProcess(tmp_path / "var", USERS_FILE=tmp_path / "users.yaml") as app:

        def opened(name: str, thread_id: str) -> Page:
            with httpx.Client(base_url=app.url, headers={"Origin": app.url}, timeout=60) as client:
                client.post("/login", data={"name": name, "password": PASSWORD})
                token = client.cookies["smart_support_login"]
            entered = {"name": "smart_support_login", "value": token, "url": app.url}
            return open_window(app.url, thread_id, cookies=[entered])

        olga, lee = opened("olga", "hers"), opened("lee", "his")
        say(olga, "Cancel order 1042")
        expect(waiting(olga)).to_be_visible()
        # Only leads have the card that the button would show.
        expect(waiting(olga).get_by_role("button", name="Review")).to_be_hidden()
        press(lee.locator(".ss-approval"), "Approve")
        expect(chat(olga).locator(".ss-wait--approved")).to_be_visible()
        say(lee, "Cancel order 1046")
        own = lee.locator(".ss-approval").filter(has_text="1046")
        expect(own).to_contain_text("You requested this. Another lead must approve.")
        expect(own.get_by_role("button", name="Approve")).to_have_count(0)
        expect(own.get_by_role("button", name="Reject…")).to_be_visible()
        press(own, "Reject…")
        own.get_by_label("Reason").fill("Not needed")
        press(own, "Reject")
        expect(own).to_have_count(0)
        for page, hidden in ((olga, ("Approvals", "Analytics", "API")), (lee, ("API",))):
            for tab in ("Console", "Approvals", "Analytics", "Replay", "API"):
                expect(page.get_by_role("tab", name=tab)).to_be_visible(visible=tab not in hidden)
        say(lee, "Where is order 1043?")
        expect(chat(lee).locator(".bot.message").last).to_contain_text("1043")
        olga.get_by_role("tab", name="Replay").click()
        expect(olga.locator(".ss-conversations button")).to_have_count(1)
        press(olga.locator("#ss-me"), "Log out")
        expect(olga).to_have_url(f"{app.url}/login")
