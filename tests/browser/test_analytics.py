"""The Analytics tab over a month of recorded conversations, and over none."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, Save, Window
from tests.harness import ROOT, AppProcess


@pytest.fixture(scope="module")
def with_past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    data_dir: Path = tmp_path_factory.mktemp("past") / "var"
    # In a process of its own: a loop of Playwright runs in this one.
    subprocess.run([sys.executable, "-m", "tests.past", str(data_dir)], cwd=ROOT, check=True)
    with AppProcess(data_dir) as app:
        yield app


@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_figures_of_a_range(with_past: AppProcess, open_window: Window, save: Save, look: str) -> None:
    page = open_window(with_past.url, color_scheme=look)
    page.get_by_role("tab", name="Analytics").click()
    expect(page.get_by_text("Latest conversations")).to_be_visible()
    page.get_by_text("30 days").click()
    cards = page.locator(".ss-figures .ss-card")
    expect(cards.first.locator("b")).to_have_text("400")
    figures = with_past.get("/analytics", range="30d")
    expect(cards.nth(2).locator("b")).to_have_text(f"{figures['approvals']['requested']:,}")
    expect(page.locator(".vega-embed")).to_have_count(4)
    expect(page.get_by_role("link", name="Export CSV")).to_have_attribute(
        "href", "/api/v1/analytics/export?range=30d&format=csv"
    )
    save(page, f"analytics-{look}")


def test_it_fits_a_phone(with_past: AppProcess, open_window: Window, save: Save) -> None:
    page = open_window(with_past.url, viewport=PHONE)
    page.get_by_role("tab", name="Analytics").click()
    expect(page.locator(".vega-embed")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    save(page, "phone-analytics-light")


def test_an_empty_range_says_what_to_do(data_dir: Path, open_window: Window) -> None:
    with AppProcess(data_dir) as app:
        page = open_window(app.url)
        page.get_by_role("tab", name="Analytics").click()
        expect(page.get_by_text("Nothing has happened in this range yet")).to_be_visible()
        expect(page.locator(".vega-embed")).to_have_count(0)
