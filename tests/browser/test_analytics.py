"""The Analytics tab over a month of recorded conversations, and over none."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from pages.analytics.plots import OUTCOMES
from tests.browser.conftest import PHONE, Save, Window
from tests.harness import ROOT, AppProcess


@pytest.fixture(scope="module")
def with_past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    data_dir: Path = tmp_path_factory.mktemp("past") / "var"
    # In a process of its own: a loop of Playwright runs in this one.
    subprocess.run([sys.executable, "-m", "tests.past", str(data_dir)], cwd=ROOT, check=True)
    with AppProcess(data_dir) as app:
        yield app


def _card(page: Page, label: str) -> Locator:
    named = page.locator(".ss-figure-name", has_text=re.compile(f"^{label}"))
    return page.locator(".ss-figures .ss-card", has=named)


@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_figures_of_a_range(with_past: AppProcess, open_window: Window, save: Save, look: str) -> None:
    page = open_window(with_past.url, color_scheme=look)
    page.get_by_role("tab", name="Analytics").click()
    expect(page.get_by_text("Latest conversations")).to_be_visible()
    page.locator("#ss-analytics-bar").get_by_text("30 days").click()
    figures = with_past.get("/analytics", range="30d", compare=True)
    shown = {
        "Conversations": "400",
        "Resolved": f"{figures['resolution_rate']:.0%}",
        "To a person": f"{figures['escalation_rate']:.0%}",
        "Turns to resolve": f"{figures['turns_to_resolution']['median']:g}",
        "Came back": f"{figures['reopened']['rate']:.0%}" if figures["reopened"]["resolved"] else "–",
        "Approvals": f"{figures['approvals']['requested']:,}",
        "By policy alone": f"{figures['approvals']['by_policy']:,}",
        "Hours saved": f"{figures['hours_saved']['hours']:,.1f} h",
    }
    for label, figure in shown.items():
        expect(_card(page, label).locator("b")).to_have_text(figure)
    leads = page.locator(".ss-table", has_text="Decisions by lead").locator("tbody tr")
    expect(leads).to_have_count(len(figures["leads"]))
    times = page.locator(".ss-table", has_text="Whole answer").locator("tbody tr").first
    shown = [f"{figures['latency_ms'][part] / 1000:.1f} s" for part in ("p50", "p95", "p99")]
    expect(times.locator("td")).to_have_text(["Whole answer", *shown])
    expect(page.locator(".ss-trend:has(polyline)")).to_have_count(
        10
    )  # no price is known, and no rule let a write run
    expect(page.locator(".vega-embed")).to_have_count(2)
    expect(page.get_by_role("link", name="Export CSV")).to_have_attribute(
        "href", "/api/v1/analytics/export?range=30d&format=csv"
    )
    save(page, f"analytics-{look}")
    # The bars are those of the range that is chosen, whether it is told by the day or by the hour.
    for words, range_ in (("24 hours", "24h"), ("7 days", "7d")):
        page.locator("#ss-analytics-bar").get_by_text(words).click()
        buckets = with_past.get("/analytics", range=range_)["series"]
        expect(page.locator(".vega-embed .mark-rect path")).to_have_count(len(OUTCOMES) * len(buckets))


def test_it_fits_a_phone(with_past: AppProcess, open_window: Window, save: Save) -> None:
    page = open_window(with_past.url, viewport=PHONE)
    page.get_by_role("tab", name="Analytics").click()
    expect(page.locator(".vega-embed")).to_have_count(2)
    # The first figures are seen without scrolling, and no table hides its last columns.
    expect(_card(page, "Conversations")).to_be_in_viewport(ratio=1)
    for width in (PHONE["width"], 1100, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        tables = page.locator(".ss-table .ss-scroll")
        assert tables.evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length") == 0
    page.set_viewport_size(PHONE)
    help_ = _card(page, "Came back").get_by_role("button", name="What this counts")
    help_.click()
    said = _card(page, "Came back").locator(".ss-meaning")
    expect(said).to_contain_text("came back with another conversation within 7 days")
    expect(said).to_be_in_viewport(ratio=1)
    save(page, "phone-analytics-light")


def test_an_empty_range_says_what_to_do(data_dir: Path, open_window: Window) -> None:
    with AppProcess(data_dir) as app:
        page = open_window(app.url)
        page.get_by_role("tab", name="Analytics").click()
        expect(page.get_by_text("Nothing has happened in this range yet")).to_be_visible()
        expect(page.locator(".vega-embed")).to_have_count(0)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """An app with the made-up history."""
    data_dir: Path = tmp_path_factory.mktemp("demo") / "var"
    environment = os.environ | {"SMART_SUPPORT_DATA_DIR": str(data_dir)}
    subprocess.run(
        [sys.executable, "-m", "smart_support", "demo-data"], cwd=ROOT, env=environment, check=True
    )
    with AppProcess(data_dir) as app:
        yield app


def test_filters_apply_to_all_and_a_figure_leads_to_its_conversations(
    demo: AppProcess, open_window: Window
) -> None:
    page = open_window(demo.url)
    page.get_by_role("tab", name="Analytics").click()
    expect(_card(page, "Conversations").locator("b")).to_be_visible()
    page.evaluate("""() => {
        window.seen = [];
        const body = document.body;
        new MutationObserver(() => window.seen.push(body.classList.contains("ss-counts"))).observe(
            body, { attributes: true, attributeFilter: ["class"] });
    }""")
    page.locator("#ss-analytics-bar").get_by_text("30 days").click()
    # What is on show is told to be of before until the new figures have come.
    month = demo.get("/analytics", range="30d")
    expect(_card(page, "Conversations").locator("b")).to_have_text(f"{month['conversations']:,}")
    page.wait_for_function("window.seen.includes(true) && !document.body.matches('.ss-counts')")
    page.get_by_label("Tool", exact=True).click()
    page.get_by_role("option", name="refund_order").click()
    figures = demo.get("/analytics", range="30d", tool="refund_order")
    expect(_card(page, "Conversations").locator("b")).to_have_text(f"{figures['conversations']:,}")
    tools = page.locator(".ss-table", has_text="Approvals by tool").locator("tbody tr")
    expect(tools).to_have_count(1)
    export = page.get_by_role("link", name="Export CSV")
    expect(export).to_have_attribute(
        "href", "/api/v1/analytics/export?range=30d&format=csv&tool=refund_order"
    )
    page.get_by_role("button", name="robin").click()
    expect(page.get_by_role("tab", name="Replay")).to_have_attribute("aria-selected", "true")
    chip = page.get_by_role(
        "button", name="Decisions by lead: Robin, in the range of the figures, take it off"
    )
    expect(chip).to_be_visible()
    asked = {"figure": "leads", "line": "robin", "tool": "refund_order", "counted_since": figures["since"]}
    listed = demo.get("/conversations", **asked)
    expect(page.locator(".ss-conversations button")).to_have_count(min(25, len(listed)))
    chip.click()
    expect(chip).to_have_count(0)
    page.get_by_role("tab", name="Analytics").click()
    _card(page, "Resolved").locator(".ss-line .ss-behind").click()
    expect(
        page.get_by_role("button", name="Outcome: Resolved or Resolved with approval, take it off")
    ).to_be_visible()
    resolved = sum(figures["outcomes"][name] for name in ("resolved", "resolved_with_approval"))
    expect(page.locator(".ss-conversations button")).to_have_count(min(25, resolved))


def test_a_replay_is_played_shared_and_kept(demo: AppProcess, open_window: Window) -> None:
    thread_id = "demo-history-00003"
    count = len(demo.get(f"/replay/{thread_id}"))
    page = open_window(demo.url)
    page.goto(f"{demo.url}/?thread={thread_id}#replay")
    expect(page.locator(".ss-thread")).to_contain_text(f"Thread {thread_id}")
    expect(page.locator(".ss-step")).to_have_count(count)
    page.get_by_role("button", name="▶ Play").click()
    expect(page.locator(".ss-place")).to_have_text(f"Step {count} of {count}")
    expect(page.get_by_role("button", name="▶ Play")).to_be_visible()
    raw = page.get_by_role("link", name="Raw JSON").get_attribute("href")
    assert raw == f"/api/v1/replay/{thread_id}/all"
    test = page.get_by_role("link", name="Save as test").get_attribute("href")
    assert test == f"/api/v1/replay/{thread_id}/test"


def test_an_admin_asks_the_record(demo: AppProcess, open_window: Window) -> None:
    page = open_window(demo.url)
    page.get_by_role("tab", name="Analytics").click()
    page.get_by_text("Ask the record yourself").click()
    sql = page.get_by_role("textbox", name="SQL")
    sql.fill("SELECT count(DISTINCT thread_id) AS conversations FROM events")
    page.get_by_role("button", name="Run").click()
    count = demo.get("/analytics", range="all")["conversations"]
    expect(page.locator(".ss-sql td")).to_have_text(str(count))
    sql.fill("DROP TABLE events")
    sql.press("Control+Enter")
    expect(page.locator(".ss-sql .ss-problem")).to_contain_text("give one SELECT")
    sql.fill("SELECT '<img src=x onerror=alert(1)>' AS \"<b>\"")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".ss-sql td")).to_have_text("<img src=x onerror=alert(1)>")


def test_the_made_up_history_is_told_and_cleared(demo: AppProcess, open_window: Window) -> None:
    page = open_window(f"{demo.url}/?thread=demo-history-00003#replay")
    told = "conversations are made up"
    expect(page.locator(".ss-demo-note:visible")).to_contain_text(told)
    page.get_by_role("tab", name="Analytics").click()
    note = page.locator(".ss-demo-note:visible")
    expect(note).to_contain_text(told)
    page.on("dialog", lambda dialog: dialog.accept())
    note.get_by_role("button", name="Clear it").click()
    expect(note).to_have_count(0)
    expect(page.get_by_text("Nothing has happened in this range yet")).to_be_visible()
