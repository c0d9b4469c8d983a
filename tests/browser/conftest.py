"""Chromium for the browser tests: windows of the console, each with its own storage, watched for errors."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support import chromium
from tests.support.harness import ROOT

ARTIFACTS = ROOT / "tests" / "artifacts"
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
Window = Callable[..., Page]
Save = Callable[[Page, str], None]

expect.set_options(timeout=30_000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all of these tests, and for no longer: its event loop would be in the others' way."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGS)
        yield launched
        launched.close()


class Profiles:
    """Contexts of the browser, each with the storage of a person, used by one test after the other.

    A context keeps the scripts of the console: in a new one the console takes four times the CPU to load.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: dict[str, list[BrowserContext]] = {}

    def take(self, options: dict[str, Any]) -> BrowserContext:
        """A context of these options that nobody has, and that stores nothing."""
        free = self._free.get(_key(options))
        if free:
            return free.pop()
        context = self._browser.new_context(**options)
        context.new_page()  # it stays open and empty, so that the process that all pages share goes on
        return context

    def give_back(self, options: dict[str, Any], context: BrowserContext) -> None:
        """Close its pages and delete what they stored."""
        empty, *pages = context.pages
        session = context.new_cdp_session(empty)
        origins = {"/".join(page.url.split("/")[:3]) for page in pages if page.url.startswith("http")}
        for page in pages:
            page.close()
        for origin in origins:
            kinds = {"origin": origin, "storageTypes": "local_storage,indexeddb,service_workers"}
            session.send("Storage.clearDataForOrigin", kinds)
        session.detach()
        context.clear_cookies()
        context.clear_permissions()
        self._free.setdefault(_key(options), []).append(context)


def _key(options: dict[str, Any]) -> str:
    return str(sorted(options.items()))


@pytest.fixture(scope="package")
def profiles(browser: Browser) -> Profiles:
    return Profiles(browser)


@pytest.fixture
def open_window(profiles: Profiles) -> Iterator[Window]:
    """Opens the console in a window of its own; fails the test if a script of it fails."""
    taken: list[tuple[dict[str, Any], BrowserContext]] = []
    problems: list[str] = []

    def opened(url: str, thread_id: str = "", *, prepare: Any = None, **options: Any) -> Page:
        options = {"viewport": DESKTOP, "color_scheme": "light", **options}
        context = profiles.take(options)
        taken.append((options, context))
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console", lambda said: problems.append(said.text) if "Content Security" in said.text else None
        )
        if prepare:
            prepare(page)
        page.goto(f"{url}/?thread={thread_id}" if thread_id else url)
        expect(page.locator("#ss-state")).to_have_attribute("data-state", "live")
        expect(page.locator("body.ss-chat-loaded")).to_be_visible()
        return page

    yield opened
    for options, context in taken:
        profiles.give_back(options, context)
    assert problems == []


@pytest.fixture(scope="session")
def save() -> Save:
    """Keeps a picture of a window under tests/artifacts."""
    ARTIFACTS.mkdir(exist_ok=True)

    def saved(page: Page, name: str) -> None:
        page.screenshot(path=Path(ARTIFACTS / f"{name}.png"), animations="disabled")

    return saved
