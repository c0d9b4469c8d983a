"""The console under a sub-path of a real nginx, with the configuration of the docs: all of it works there."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from playwright.sync_api import Page, expect

from tests.browser.conftest import Save, Window
from tests.support import nginx
from tests.support.console import card, chat, press, say
from tests.support.harness import AppProcess
from tests.support.passwords import hash_password

ROOT_PATH = "/support"
PASSWORD = "correct horse"
KEY = "operator-key-1"
PASSED_ON, STRIPPED = "proxy_pass http://127.0.0.1:7860;", "proxy_pass http://127.0.0.1:7860/;"
pytestmark = pytest.mark.skipif(nginx.executable() is None, reason=nginx.MISSING)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("sub-path")
    lead = {"name": "lee", "role": "lead", "password_hash": hash_password(PASSWORD)}
    (folder / "users.yaml").write_text(yaml.safe_dump([lead]))
    users = {"USERS_FILE": folder / "users.yaml", "API_KEYS": f"op:operator:{KEY}"}
    with AppProcess(folder / "var", ROOT_PATH=ROOT_PATH, **users) as running:
        yield running


@pytest.fixture(params=["passed on", "stripped"])
def url(app: AppProcess, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The console's address behind a proxy that passes the sub-path on, or strips it."""
    servers = nginx.documented("### Under a sub-path")
    assert PASSED_ON in servers
    if request.param == "stripped":
        servers = servers.replace(PASSED_ON, STRIPPED)
    with nginx.Nginx(tmp_path / "nginx", servers, app.port) as proxy:
        yield f"http://127.0.0.1:{proxy.port}{ROOT_PATH}"


def test_a_lead_works_under_a_sub_path(url: str, open_window: Window, thread_id: str, save: Save) -> None:
    outside: list[str] = []

    def log_in(page: Page) -> None:
        inside = re.compile(re.escape(url) + "[/?]")
        page.on("request", lambda one: None if inside.match(one.url) else outside.append(one.url))
        page.goto(f"{url}/")
        expect(page).to_have_url(f"{url}/login")
        page.get_by_label("Name").fill("lee")
        page.get_by_label("Password").fill(PASSWORD)
        press(page.locator("form"), "Log in")
        expect(page).to_have_url(re.compile(re.escape(url) + r"/(\?.*)?$"))

    page = open_window(url, thread_id, prepare=log_in)
    say(page, "Where is order 1043?")
    expect(chat(page).locator(".bot.message").last).to_contain_text("1043")
    asked = {"thread_id": f"{thread_id}-op", "message": "Make me a 10% coupon"}
    httpx.post(f"{url}/api/v1/chat", json=asked, headers={"X-API-Key": KEY}, timeout=60)
    press(card(page, "coupon"), "Approve")
    expect(page.locator(".ss-decided").first).to_contain_text("Approved by lee")
    page.get_by_role("tab", name="Analytics").click()
    page.get_by_role("button", name="Export…").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.url.startswith(f"{url}/api/v1/analytics/export?")
    page.get_by_role("tab", name="Replay").click()
    page.locator(f'.ss-conversations button[data-thread="{thread_id}"]').click()
    expect(page.locator(".ss-step").first).to_be_visible()
    page.wait_for_function(
        "start => document.querySelector('a.ss-test').href.startsWith(start)", arg=f"{url}/api/v1/replay/"
    )
    save(page, "sub-path")
    press(page.locator("#ss-me"), "Log out")
    expect(page).to_have_url(f"{url}/login")
    assert outside == []


def test_programs_find_the_sub_path_in_answers(url: str, app: AppProcess) -> None:
    with httpx.Client(base_url=url, timeout=60, headers={"Origin": url.removesuffix(ROOT_PATH)}) as client:
        refused = client.get("/", headers={"Accept": "text/html"})
        assert refused.headers["location"] == f"{ROOT_PATH}/login"
        bare = httpx.get(url, headers={"Accept": "text/html"}, timeout=60)
        assert bare.headers["location"] in (f"{ROOT_PATH}/", f"{ROOT_PATH}/login")
        entered = client.post(
            "/login", data={"name": "lee", "password": PASSWORD}, headers={"Accept": "text/html"}
        )
        assert entered.headers["location"] == f"{ROOT_PATH}/"
        described = client.get("/api/v1/openapi.json").json()
        assert described["servers"] == [{"url": ROOT_PATH}]
        assert client.get("/config").json()["root"] == url
        assert client.post("/logout").headers["location"] == f"{ROOT_PATH}/login"
    # The app's own port answers with and without the sub-path, as for health checks.
    for prefix in ("", ROOT_PATH):
        assert httpx.get(f"{app.url}{prefix}/api/v1/health", timeout=60).status_code == 200
