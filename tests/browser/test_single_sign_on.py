"""A login with an identity provider in a real browser: across two sites, to the page that was opened."""

import re
from collections.abc import Iterator

import oidc_provider_mock
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Save
from tests.support.axe import PHONE, WIDE, check_looks
from tests.support.harness import AppProcess
from tests.support.windows import DESKTOP, Profiles

PEOPLE = [
    oidc_provider_mock.User(
        sub="u-1", claims={"preferred_username": "dana", "name": "Dana Lee", "groups": ["support-leads"]}
    ),
    oidc_provider_mock.User(sub="u-2", claims={"preferred_username": "mo", "groups": ["kitchen"]}),
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """The app, and a provider on another site: `localhost` is one for the browser, and 127.0.0.1 another."""
    with (
        oidc_provider_mock.run_server_in_thread(user_claims=PEOPLE) as provider,
        AppProcess(
            tmp_path_factory.mktemp("single-sign-on") / "var",
            OIDC_ISSUER=f"http://localhost:{provider.server_port}",
            OIDC_CLIENT_ID="smart-support",
            OIDC_CLIENT_SECRET="any",
            OIDC_ROLES="support-leads:lead",
        ) as running,
    ):
        yield running


@pytest.fixture
def page(profiles: Profiles) -> Iterator[Page]:
    context = profiles.take({})
    page = context.new_page()
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    yield page
    profiles.give_back({}, context)


def _log_in(page: Page, subject: str) -> None:
    page.get_by_role("link", name="Log in with single sign-on").click()
    page.get_by_role("button", name=subject).click()


def test_a_lead_logs_in_and_out(app: AppProcess, page: Page, save: Save) -> None:
    page.goto(f"{app.url}/?tab=inbox")
    expect(page).to_have_url(f"{app.url}/login?next=%2F%3Ftab%3Dinbox")
    expect(page.get_by_role("link", name="Log in with single sign-on")).to_be_focused()
    for name, scheme, viewport in (("light", "light", DESKTOP), ("dark-phone", "dark", PHONE)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        page.reload()
        save(page, f"single-sign-on-{name}")
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    _log_in(page, "u-1")
    expect(page).to_have_url(re.compile(re.escape(app.url) + r"/\?tab=inbox(&thread=.*)?$"))
    expect(page.locator("#ss-me")).to_contain_text("Dana Lee (lead)")
    expect(page.locator("#ss-state")).to_have_attribute("data-state", "live")
    page.get_by_role("button", name="Log out").click()
    # The provider's own page asks, and leads back.
    page.wait_for_url("http://localhost:*/oauth2/end_session?*")
    page.get_by_role("button").first.click()
    expect(page).to_have_url(f"{app.url}/login")
    page.goto(app.url)
    expect(page).to_have_url(f"{app.url}/login")


def test_somebody_without_a_role_sees_why(app: AppProcess, page: Page, save: Save) -> None:
    page.goto(app.url)
    _log_in(page, "u-2")
    expect(page.get_by_role("heading", name="No access")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("you have no role in Smart Support")
    expect(page.get_by_text("Your groups: kitchen.")).to_be_visible()
    check_looks(page, WIDE, PHONE)
    save(page, "single-sign-on-no-access")
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    page.get_by_role("link", name="Use another account").click()
    page.get_by_role("button", name="u-1").click()
    expect(page.locator("#ss-me")).to_contain_text("Dana Lee (lead)")
