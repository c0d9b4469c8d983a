"""Chromium for the browser tests: windows of the console, each with its own storage, watched for errors."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support import chromium
from tests.support.harness import ROOT
from tests.support.windows import Profiles, Windows

ARTIFACTS = ROOT / "tests" / "artifacts"
PHONE = {"width": 390, "height": 844}
Window = Callable[..., Page]
Save = Callable[[Page, str], None]
PASSED = pytest.StashKey[bool]()
LAST = pytest.StashKey[bool]()

expect.set_options(timeout=30_000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all of these tests, and for no longer: its event loop would be in the others' way."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGS)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def profiles(browser: Browser) -> Profiles:
    return Profiles(browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note that a test passed: a page that a failed one has left is not used again."""
    report: Any = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Note whether a test is the last one of its file: then its app ends."""
    item.stash[LAST] = nextitem is None or nextitem.path != item.path


@pytest.fixture
def open_window(profiles: Profiles, request: pytest.FixtureRequest) -> Iterator[Window]:
    """Opens the console in a window of its own; fails the test if a script of it fails."""
    if "server" in request.fixturenames:
        profiles.lasting.add(request.getfixturevalue("server").url.removeprefix("http://"))
    windows = Windows(profiles)
    yield windows.open
    is_last = request.node.stash[LAST]
    passed = request.node.stash.get(PASSED, False)
    windows.close(keep=lambda app: passed and (not is_last or app in profiles.lasting))
    if is_last:
        profiles.end_file()
    assert profiles.problems == []


@pytest.fixture(scope="session")
def save() -> Save:
    """Keeps a picture of a window under tests/artifacts, where the variable SCREENSHOTS is set."""
    ARTIFACTS.mkdir(exist_ok=True)

    def saved(page: Page, name: str) -> None:
        if os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(ARTIFACTS / f"{name}.png"), animations="disabled")

    return saved
