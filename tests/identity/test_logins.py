"""Logins of browsers: the page, the cookie, other sites, guessing, and that logging out ends all there is."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websockets
import yaml
from gradio_client import Client as GradioClient

from smart_support.errors import ConfigError
from smart_support.identity.logins import Logins
from smart_support.identity.users import Accounts
from tests.support.guarded import KEYS, PASSWORD
from tests.support.harness import AppProcess, Client
from tests.support.passwords import hash_password
from tests.support.stores import state_of

KEY = KEYS["op"]


@pytest.fixture(scope="module")
def app(guarded: AppProcess) -> AppProcess:
    return guarded


@pytest.fixture
def browser(app: AppProcess) -> Iterator[httpx.Client]:
    """As a browser asks: it says where a request comes from."""
    with httpx.Client(
        base_url=app.url, headers={"Accept": "text/html", "Origin": app.url}, timeout=60
    ) as client:
        yield client


@pytest.fixture(scope="module")
def logged_in(app: AppProcess) -> Iterator[httpx.Client]:
    """A login, and nothing said by itself about where a request comes from."""
    with httpx.Client(base_url=app.url, timeout=60) as client:
        _log_in(client)
        yield client


def test_a_login_leads_on_to_the_page_that_was_opened(browser: httpx.Client) -> None:
    login = browser.get("/?tab=approvals&q=a%26b").headers["location"]
    assert login == "/login?next=%2F%3Ftab%3Dapprovals%26q%3Da%2526b"
    assert '<input type="hidden" name="next" value="/?tab=approvals&amp;q=a%26b">' in browser.get(login).text
    typed = {"name": "lee", "password": PASSWORD, "next": "/?tab=approvals&q=a%26b"}
    assert browser.post("/login", data=typed).headers["location"] == "/?tab=approvals&q=a%26b"
    elsewhere = browser.post("/login", data=typed | {"next": "//evil.example"})
    assert elsewhere.headers["location"] == "/"


def _log_in(client: httpx.Client, **headers: str) -> httpx.Response:
    return client.post("/login", data={"name": "lee", "password": PASSWORD}, headers=headers)


@pytest.mark.slow
def test_a_browser_logs_in_and_out_again(browser: httpx.Client) -> None:
    assert browser.get("/").headers["location"] == "/login"
    assert "Log in" in browser.get("/login").text
    wrong = browser.post("/login", data={"name": "lee", "password": "wrong"})
    assert (wrong.status_code, "Wrong name or password" in wrong.text) == (401, True)
    done = _log_in(browser)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert browser.get("/api/v1/me").json()["data"] == {"name": "lee", "role": "lead", "login": True}
    assert 'id="ss-' in browser.get("/").text or "gradio" in browser.get("/").text
    browser.post("/logout")
    assert browser.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize(
    ("headers", "secure"),
    [({}, False), ({"X-Forwarded-Proto": "https"}, False), ({"X-Forwarded-Proto": "http"}, False)],
)
def test_the_cookie_is_for_us_alone(browser: httpx.Client, headers: dict[str, str], secure: bool) -> None:
    flags = _log_in(browser, **headers).headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=lax" in flags
    assert "domain=" not in flags
    assert ("secure" in flags) is secure


def test_a_browser_that_speaks_tls_with_a_proxy_gets_a_secure_cookie(app: AppProcess) -> None:
    host = "support.example"
    with httpx.Client(
        base_url=app.url, headers={"Host": host, "Origin": f"https://{host}"}, timeout=60
    ) as browser:
        made = {line.partition("=")[0] for line in _log_in(browser).headers.get_list("set-cookie")}
        assert made == {"__Host-smart_support_login", "__Host-smart_support_device"}


def test_a_login_without_the_prefix_does_not_count_over_https(
    app: AppProcess, logged_in: httpx.Client
) -> None:
    token, host = logged_in.cookies["smart_support_login"], "support.example"
    https = {"Host": host, "Origin": f"https://{host}", "Accept": "text/html"}
    with httpx.Client(base_url=app.url, headers=https, timeout=60) as browser:
        for name, status in (("smart_support_login", 401), ("__Host-smart_support_login", 200)):
            answer = browser.get("/api/v1/me", headers={"Cookie": f"{name}={token}"})
            assert answer.status_code == status
        old = {"Cookie": f"smart_support_login={token}"}
        assert browser.get("/", headers=old).headers["location"] == "/login"
        assert "max-age=0" in browser.get("/login", headers=old).headers["set-cookie"].lower()


def test_five_wrong_passwords_of_a_stranger_lock_nobody_out(app: AppProcess) -> None:
    wrong = {"name": "mia", "password": "wrong"}
    with httpx.Client(base_url=app.url, timeout=60) as stranger:
        refused = [stranger.post("/login", data=wrong) for _ in range(6)]
    assert [one.status_code for one in refused] == [401] * 5 + [429]
    right = httpx.post(f"{app.url}/login", data={"name": "mia", "password": PASSWORD}, timeout=60)
    assert right.status_code == 200


def test_a_login_has_a_token_of_its_own_and_ends_the_one_before(app: AppProcess) -> None:
    with httpx.Client(base_url=app.url, headers={"Origin": app.url}, timeout=60) as browser:
        _log_in(browser, Cookie="smart_support_login=chosen-by-somebody-else")
        first = browser.cookies["smart_support_login"]
        assert first != "chosen-by-somebody-else"
        _log_in(browser)
        assert browser.cookies["smart_support_login"] != first
    before = httpx.get(f"{app.url}/api/v1/me", cookies={"smart_support_login": first}, timeout=60)
    assert before.status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Content-Type": "text/plain"}, 403),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 403),
        ({"Content-Type": "application/json"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/chat", "/gradio_api/call/chat"])
def test_another_site_s_page_does_nothing_with_a_login(
    logged_in: httpx.Client, path: str, headers: dict[str, str], status: int
) -> None:
    body = b'{"message": "hi", "data": ["hi", ""]}'
    headers = {"Content-Type": "application/json"} | headers
    assert logged_in.post(path, content=body, headers=headers).status_code == status


async def test_a_foreign_page_opens_no_socket_with_a_login(app: AppProcess, logged_in: httpx.Client) -> None:
    cookie = f"smart_support_login={logged_in.cookies['smart_support_login']}"
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(app.ws_url, additional_headers={"Cookie": cookie, **headers}, proxy=None)


async def test_logging_out_ends_what_is_open(app: AppProcess, browser: httpx.Client) -> None:
    _log_in(browser)
    headers = {"Cookie": f"smart_support_login={browser.cookies['smart_support_login']}", "Origin": app.url}
    connection = await websockets.connect(app.ws_url, additional_headers=headers, proxy=None)
    async with (
        Client(connection) as socket,
        httpx.AsyncClient(base_url=app.url, headers=headers, timeout=60) as page,
    ):
        await socket.send(type="ping")
        await socket.until("pong")
        stream = page.stream("GET", "/gradio_api/heartbeat/a-page")
        async with stream as open_page:
            lines = open_page.aiter_lines()
            await anext(lines)
            await page.post("/logout")
            with pytest.raises(websockets.ConnectionClosed, match="unauthorized"):
                await socket.next()
            async for _ in lines:
                pass  # to its end, which was not there before


def test_gradio_client_logs_in_with_a_password(app: AppProcess) -> None:
    lead = GradioClient(app.url, auth=("lee", PASSWORD), verbose=False)
    assert isinstance(lead.predict(api_name="/pending_approvals"), list)


async def test_no_key_is_in_a_log_line(app: AppProcess) -> None:
    async with await Client.connect(f"{app.ws_url}?token={KEY}") as client:
        await client.turn("logged", "hello")
    async with await Client.connect(f"{app.ws_url}?token=wrong-{KEY}") as client:
        await client.next()
    async with httpx.AsyncClient(timeout=60) as program:
        await program.get(f"{app.url}/api/v1/me?token={KEY}", headers={"X-API-Key": KEY})
    assert "turn_began" in app.log()
    assert KEY not in app.log()


async def test_a_new_password_ends_the_logins_of_the_old(tmp_path: Path) -> None:
    path, state = tmp_path / "users.yaml", state_of(tmp_path)

    def accounts(password: str, name: str = "Zoë, 1") -> Accounts:
        entry = {"name": name, "role": "lead", "password_hash": hash_password(password)}
        path.write_text(yaml.safe_dump([entry]))
        return Accounts(path, "")

    old = accounts(PASSWORD)
    user = await old.with_password("Zoë, 1", PASSWORD)
    assert user is not None
    token = await Logins(state, old).create(user)
    assert await Logins(state, old).user_name(token) == "Zoë, 1"
    assert await Logins(state, accounts("another password")).user_name(token) is None
    assert await Logins(state, old).user_name(token.replace("1", "2")) is None
    state.close()


def test_a_users_file_without_users_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"
    path.write_text("[]")
    with pytest.raises(ConfigError, match="lists no user"):
        Accounts(path, "")


def test_guessing_is_slowed_down_whatever_address_is_claimed(app: AppProcess) -> None:
    """From a network of its own, because no other test could log in from there."""

    def elsewhere() -> httpx.Client:
        return httpx.Client(base_url=app.url, transport=httpx.HTTPTransport(local_address="127.9.0.1"))

    def tried(client: httpx.Client, name: str, number: int) -> int:
        claimed = {"X-Forwarded-For": f"192.0.2.{number}"}
        return client.post("/login", data={"name": name, "password": "?"}, headers=claimed).status_code

    with elsewhere() as owner, elsewhere() as client:
        assert _log_in(owner).status_code == 200
        assert [tried(client, "guess", number) for number in range(6)] == [401] * 5 + [429]
        assert client.post("/login", data={"name": "guess", "password": PASSWORD}).status_code == 429
        assert any(tried(client, f"guess-{number}", number) == 429 for number in range(62))
        # The address has no attempts left, but the owner's device has its own.
        assert _log_in(owner, Origin=app.url).status_code == 200
