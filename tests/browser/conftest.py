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

expect.set_options(timeout=15_000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all of these tests, and for no longer: its event loop would be in the others' way."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGS)
        yield launched
        launched.close()


@pytest.fixture
def open_window(browser: Browser) -> Iterator[Window]:
    """Opens the console in a window of its own; fails the test if a script of it fails."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def opened(url: str, thread_id: str = "", *, prepare: Any = None, **options: Any) -> Page:
        contexts.append(browser.new_context(**{"viewport": DESKTOP, "color_scheme": "light", **options}))
        page = contexts[-1].new_page()
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
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture(scope="session")
def save() -> Save:
    """Keeps a picture of a window under tests/artifacts."""
    ARTIFACTS.mkdir(exist_ok=True)

    def saved(page: Page, name: str) -> None:
        page.screenshot(path=Path(ARTIFACTS / f"{name}.png"), animations="disabled")

    return saved
