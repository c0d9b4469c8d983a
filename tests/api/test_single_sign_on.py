"""Logins with an identity provider through the routes that a browser uses, hostile ones included."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import oidc_provider_mock
import orjson
import pytest
import yaml

from smart_support import Settings, clock
from smart_support.api import cookies
from smart_support.identity.single_sign_on import tokens
from smart_support.identity.single_sign_on.service import ATTEMPT_SECONDS
from tests.support.identity_provider import ScriptedProvider, scripted_provider
from tests.support.loopback import reply
from tests.support.passwords import hash_password
from tests.support.sign_in import BASE, SignInApp, sign_in_app

COOKIE = cookies.LOGIN


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with scripted_provider() as running:
        yield running


@pytest.fixture
async def app(provider: ScriptedProvider, tmp_path: Path) -> AsyncIterator[SignInApp]:
    async with sign_in_app(provider.settings(), tmp_path) as made:
        yield made


@pytest.fixture
async def browser(app: SignInApp) -> AsyncIterator[httpx.AsyncClient]:
    async with app.browser() as client:
        yield client


async def _begin(
    browser: httpx.AsyncClient, provider: ScriptedProvider, next_path: str = ""
) -> dict[str, str]:
    """Begin a login, and log in at the provider. Returns what the provider sends the browser back with."""
    begun = await browser.get("/login/sso", params={"next": next_path})
    assert begun.status_code == 303
    return provider.log_in(begun.headers["location"])


async def _log_in(
    browser: httpx.AsyncClient, provider: ScriptedProvider, next_path: str = ""
) -> httpx.Response:
    sent_back = await _begin(browser, provider, next_path)
    return await browser.get("/login/callback", params=sent_back)


async def _me(browser: httpx.AsyncClient) -> dict[str, Any] | None:
    answer = await browser.get("/api/v1/me")
    return answer.json()["data"] if answer.status_code == 200 else None


async def test_a_lead_logs_in_and_out_at_both_ends(
    app: SignInApp, browser: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    opened = await browser.get("/decide/a1?token=t")
    assert opened.headers["location"] == "/login?next=%2Fdecide%2Fa1%3Ftoken%3Dt"
    page = (await browser.get(opened.headers["location"])).text
    assert 'href="/login/sso?next=%2Fdecide%2Fa1%3Ftoken%3Dt"' in page
    assert "password" not in page
    done = await _log_in(browser, provider, "/decide/a1?token=t")
    assert (done.status_code, done.headers["location"]) == (303, "/decide/a1?token=t")
    assert await _me(browser) == {
        "name": "dana (SSO)",
        "display_name": "Dana Lee",
        "role": "lead",
        "login": True,
    }
    (added, logged_in) = await app.audit("account_added", "logged_in")
    identity = {"issuer": provider.issuer, "subject": "u-1"}
    assert orjson.loads(added["detail"]).items() >= {"name": "dana (SSO)", "role": "lead", **identity}.items()
    assert logged_in["actor"] == "dana (SSO)"
    assert orjson.loads(logged_in["detail"]).items() >= identity.items()

    left = await browser.post("/logout", headers={"Origin": BASE})
    assert left.status_code == 200
    to = urlsplit(left.text.partition('content="0; url=')[2].partition('"')[0].replace("&amp;", "&"))
    assert to.path == "/end"
    query = dict(parse_qsl(to.query))
    assert query["post_logout_redirect_uri"] == f"{BASE}/login"
    assert query["id_token_hint"].count(".") == 2
    assert await _me(browser) is None


async def test_the_cookies_are_lax_and_for_us_alone(
    browser: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    begun = await browser.get("/login/sso")
    (flags,) = begun.headers.get_list("set-cookie")
    assert "httponly" in flags.lower()
    assert "samesite=lax" in flags.lower()
    assert begun.headers["cache-control"] == "no-store"
    done = await browser.get("/login/callback", params=provider.log_in(begun.headers["location"]))
    (flags,) = done.headers.get_list("set-cookie")
    assert flags.startswith(f"{COOKIE}=")
    assert "httponly" in flags.lower()
    assert "samesite=lax" in flags.lower()


async def test_two_tabs_of_a_browser_log_in_at_once(
    browser: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    first = await _begin(browser, provider, "/?tab=inbox")
    second = await _begin(browser, provider, "/?tab=replay")
    done = await browser.get("/login/callback", params=first)
    assert done.headers["location"] == "/?tab=inbox"
    token = browser.cookies[COOKIE]
    again = await browser.get("/login/callback", params=second)
    assert (again.status_code, again.headers["location"]) == (303, "/?tab=replay")
    # The first tab stays logged in.
    assert browser.cookies[COOKIE] == token


async def test_a_state_counts_once_and_in_its_own_browser(
    app: SignInApp, browser: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    sent_back = await _begin(browser, provider)
    async with app.browser() as other:
        await other.get("/login/sso")
        stolen = await other.get("/login/callback", params=sent_back)
        assert (stolen.status_code, "begun in another browser" in stolen.text) == (400, True)
        assert await _me(other) is None
    assert (await browser.get("/login/callback", params=sent_back)).status_code == 303
    browser.cookies.delete(COOKIE)
    await browser.get("/login/sso")
    replayed = await browser.get("/login/callback", params=sent_back)
    assert replayed.status_code == 400
    assert await _me(browser) is None
    assert provider.requests.count("/token") == 1


async def test_a_code_of_somebody_else_is_of_no_use(
    app: SignInApp, browser: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    mine = await _begin(browser, provider)
    async with app.browser() as other:
        theirs = await _begin(other, provider)
    injected = await browser.get("/login/callback", params=mine | {"code": theirs["code"]})
    assert injected.status_code == 401
    assert await _me(browser) is None


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"iss": "https://evil.example"}, 401, "another identity provider"),
        ({"code": ""}, 401, "Log in again"),
        ({"state": ""}, 400, "Log in again"),
        ({"error": "access_denied"}, 401, "The login was cancelled."),
        ({"error": "<script>", "error_description": "<img>"}, 401, "refused this login"),
    ],
)
async def test_what_the_provider_sends_back_is_checked(
    browser: httpx.AsyncClient,
    provider: ScriptedProvider,
    changed: dict[str, str],
    status: int,
    words: str,
) -> None:
    sent_back = await _begin(browser, provider)
    answer = await browser.get("/login/callback", params=sent_back | changed)
    assert (answer.status_code, words in answer.text, await _me(browser)) == (status, True, None)
    assert "<script>alert" not in answer.text
    assert "<img>" not in answer.text


async def test_an_attempt_ends_in_time(browser: httpx.AsyncClient, provider: ScriptedProvider) -> None:
    sent_back = await _begin(browser, provider)
    clock.advance(ATTEMPT_SECONDS + 1)
    assert (await browser.get("/login/callback", params=sent_back)).status_code == 400


async def test_somebody_without_a_role_is_told_so(
    app: SignInApp, browser: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.claims |= {"groups": ["<b>kitchen", "refunds"]}
    answer = await _log_in(browser, provider)
    assert answer.status_code == 403
    for words in ("you have no role", "Dana Lee", "&lt;b&gt;kitchen, refunds", "Use another account"):
        assert words in answer.text
    assert await _me(browser) is None
    (refused,) = await app.audit("login_refused")
    assert orjson.loads(refused["detail"])["reason"] == "no_role"


async def test_a_role_that_is_taken_away_ends_every_login(
    app: SignInApp, browser: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    await _log_in(browser, provider)
    async with app.browser() as other:
        provider.claims |= {"groups": ["staff"]}
        await _log_in(other, provider)
        assert (await _me(other) or {})["role"] == "operator"
        assert (await _me(browser) or {})["role"] == "operator"
        provider.claims |= {"groups": []}
        assert (await _log_in(other, provider)).status_code == 403
    assert await _me(browser) is None
    assert not app.accounts.may_vote("dana (SSO)")
    changes = [orjson.loads(row["detail"]) for row in await app.audit("account_changed")]
    assert [(one["role_before"], one["role"]) for one in changes] == [
        ("lead", "operator"),
        ("operator", None),
    ]


async def test_a_login_ends_in_time(browser: httpx.AsyncClient, provider: ScriptedProvider) -> None:
    await _log_in(browser, provider)
    assert await _me(browser)
    clock.advance(3601)
    assert await _me(browser) is None


async def test_a_login_counts_in_every_process(
    app: SignInApp, browser: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    second = SignInApp(provider.settings(), app.state)
    await _log_in(browser, provider)
    async with second.browser() as other:
        other.cookies = browser.cookies
        assert (await _me(other) or {})["name"] == "dana (SSO)"
    assert second.accounts.is_in_group("dana (SSO)", "refunds")


async def test_another_provider_s_people_stay_outside(
    app: SignInApp, browser: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    await _log_in(browser, provider)
    moved = provider.settings(oidc_issuer="http://127.0.0.1:1")
    async with SignInApp(moved, app.state).browser() as other:
        other.cookies = browser.cookies
        assert await _me(other) is None


async def test_groups_come_from_userinfo_too(browser: httpx.AsyncClient, provider: ScriptedProvider) -> None:
    del provider.claims["groups"]
    provider.user_info = {"sub": "u-1", "groups": ["owners"]}
    await _log_in(browser, provider)
    assert (await _me(browser) or {})["role"] == "admin"


async def test_the_provider_ends_a_login(
    app: SignInApp, browser: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.changes = {"sid": "s-1"}
    await _log_in(browser, provider)
    token = browser.cookies[COOKIE]
    waiting = asyncio.create_task(app.logins.wait_until_ended(token))
    ended = {"events": {tokens.LOGOUT_EVENT: {}}, "groups": None}
    async with app.browser() as server:
        for changes, status in (
            ({"sid": "s-2"}, 200),
            ({"iss": "https://evil.example"}, 400),
            ({"nonce": "n"}, 400),
            ({}, 200),
        ):
            assert await _me(browser)
            form = {"logout_token": provider.id_token(**{"nonce": None} | ended | changes)}
            answer = await server.post("/login/back-channel-logout", data=form)
            assert answer.status_code == status
    await asyncio.wait_for(waiting, 5)
    assert await _me(browser) is None
    (out,) = await app.audit("logged_out")
    assert (out["actor"], out["via"]) == ("dana (SSO)", "identity_provider")


async def test_a_provider_that_is_down_is_shown_and_tried_again(
    browser: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.answers["/.well-known/openid-configuration"] = reply(503)
    answer = await browser.get("/login/sso", params={"next": "/?tab=inbox"})
    assert answer.status_code == 502
    assert "does not answer" in answer.text
    assert "next=%2F%3Ftab%3Dinbox" in answer.text
    assert "does not answer" in (await browser.get("/login")).text


async def test_too_many_logins_of_a_network_are_refused(
    app: SignInApp, browser: httpx.AsyncClient, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limits import RateLimitItemPerMinute

    monkeypatch.setattr(
        "smart_support.identity.single_sign_on.service.PER_NETWORK", RateLimitItemPerMinute(1)
    )
    await _begin(browser, provider)
    answer = await browser.get("/login/sso")
    assert (answer.status_code, "Too many attempts" in answer.text) == (429, True)


async def test_both_ways_beside_each_other(provider: ScriptedProvider, tmp_path: Path) -> None:
    users = tmp_path / "users.yaml"
    users.write_text(
        yaml.safe_dump([{"name": "dana", "role": "lead", "password_hash": hash_password("a password")}])
    )
    async with sign_in_app(provider.settings(users_file=users), tmp_path) as app, app.browser() as browser:
        page = (await browser.get("/login")).text
        assert 'name="password"' in page
        assert "Log in with single sign-on" in page
        await browser.post(
            "/login", data={"name": "dana", "password": "a password"}, headers={"Origin": BASE}
        )
        assert (await _me(browser) or {})["name"] == "dana"
        first = browser.cookies[COOKIE]
        await _log_in(browser, provider)
        assert (await _me(browser) or {})["name"] == "dana (SSO)"
        assert await app.logins.user_name(first) is None
        # By the provider's word they may be one person, so that neither approves what the other requested.
        assert app.accounts.is_same_person("dana", "dana (SSO)")
        assert not app.accounts.is_in_group("dana", "refunds")


async def test_without_a_provider_there_is_no_such_page(tmp_path: Path) -> None:
    async with (
        sign_in_app(Settings(api_keys="ci:admin:a-long-key"), tmp_path) as app,
        app.browser() as browser,
    ):
        for path in ("/login/sso", "/login/callback"):
            assert (await browser.get(path)).status_code == 404
        assert "single sign-on" not in (await browser.get("/login")).text


@pytest.mark.parametrize("root", ["", "/desk"])
async def test_behind_a_proxy_with_tls(provider: ScriptedProvider, tmp_path: Path, root: str) -> None:
    public = f"https://support.example{root}"
    settings = provider.settings(public_url=public, root_path=root)
    async with sign_in_app(settings, tmp_path) as app:
        async with app.browser("http://127.0.0.1:7860") as internal:
            moved = await internal.get(f"{root}/login/sso", params={"next": "/?tab=inbox"})
            expected = f"{public}/login/sso?next=%2F%3Ftab%3Dinbox&prompt=&moved=1"
            assert moved.headers["location"] == expected
        # As the proxy passes it on: without TLS, with the host.
        async with app.browser("http://support.example") as browser:
            begun = await browser.get(f"{root}/login/sso", params={"next": "/?tab=inbox"})
            asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
            assert asked["redirect_uri"] == f"{public}/login/callback"
            (flags,) = begun.headers.get_list("set-cookie")
            assert flags.startswith("__Host-")
            assert "secure" in flags.lower()
            secret = flags.partition("=")[2].partition(";")[0]
            done = await browser.get(
                f"{root}/login/callback",
                params=provider.log_in(begun.headers["location"]),
                headers={"Cookie": f"__Host-{cookies.SIGN_IN}={secret}"},
            )
            assert done.headers["location"] == f"{root}/?tab=inbox"
            token = done.headers["set-cookie"].partition("=")[2].partition(";")[0]
            # A POST names its origin, by which the prefix is asked for.
            written = await browser.post(
                f"{root}/logout",
                headers={"Cookie": f"__Host-{COOKIE}={token}", "Origin": "https://support.example"},
            )
            assert "Logging out" in written.text


async def test_with_a_provider_of_another_make(tmp_path: Path) -> None:
    """oidc-provider-mock, which is built on Authlib's server side."""
    claims = {"preferred_username": "kim", "email": "kim@acme.example", "groups": "leads"}
    user = oidc_provider_mock.User(sub="u-2", claims=claims)
    with oidc_provider_mock.run_server_in_thread(user_claims=[user], require_nonce=True) as server:
        settings = Settings(
            oidc_issuer=f"http://localhost:{server.server_port}",
            oidc_client_id="desk",
            oidc_client_secret="a-secret",
            oidc_roles="leads:lead",
        )
        async with (
            sign_in_app(settings, tmp_path) as app,
            app.browser() as browser,
            httpx.AsyncClient() as client,
        ):
            begun = await browser.get("/login/sso")
            back = await client.post(begun.headers["location"], data={"sub": "u-2"})
            query = dict(parse_qsl(urlsplit(back.headers["location"]).query))
            assert (await browser.get("/login/callback", params=query)).status_code == 303
            assert (await _me(browser) or {})["name"] == "kim (SSO)"
