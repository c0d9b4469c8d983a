"""The Analytics tab over a month of recorded conversations, and over none."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Save, Window
from tests.support.axe import PHONE, WIDE
from tests.support.harness import AppProcess, run_python

_LEFT = "node => Math.round(node.getBoundingClientRect().left)"
_TOP = "node => Math.round(node.getBoundingClientRect().top)"


@pytest.fixture(scope="module")
def with_past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    data_dir: Path = tmp_path_factory.mktemp("past") / "var"
    # In a process of its own: a loop of Playwright runs in this one.
    run_python("-m", "tests.support.recorded_month", str(data_dir)).check_returncode()
    with AppProcess(data_dir) as app:
        yield app


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """An app with the made-up history."""
    data_dir: Path = tmp_path_factory.mktemp("demo") / "var"
    environment = os.environ | {"SMART_SUPPORT_DATA_DIR": str(data_dir)}
    run_python("-m", "smart_support", "demo-data", environment=environment).check_returncode()
    with AppProcess(data_dir) as app:
        yield app


def _card(page: Page, label: str) -> Locator:
    named = page.locator(".ss-metric-name", has_text=re.compile(f"^{label}"))
    return page.locator(".ss-metrics .ss-card", has=named)


def test_the_figures_of_a_range(with_past: AppProcess, open_window: Window, save: Save) -> None:
    page = open_window(with_past.url)
    page.get_by_role("tab", name="Analytics").click()
    expect(page.get_by_text("Latest conversations")).to_be_visible()
    page.locator("#ss-analytics-bar").get_by_text("30 days").click()
    figures = with_past.get("/analytics", range="30d", compare=True)
    shown = {
        "Conversations": "400",
        "Resolved": f"{figures['resolution_rate']:.0%}",
        "Escalated": f"{figures['escalation_rate']:.0%}",
        "Turns to resolve": f"{figures['turns_to_resolution']['median']:g}",
        "Reopened": f"{figures['reopened']['rate']:.0%}" if figures["reopened"]["resolved"] else "–",
        "Approvals": f"{figures['approvals']['requested']:,}",
        "Auto-approved": f"{figures['approvals']['by_policy']:,}",
        "Hours saved": f"{figures['hours_saved']['hours']:,.1f} h",
    }
    for label, figure in shown.items():
        expect(_card(page, label).locator("b")).to_have_text(figure)
    leads = page.locator(".ss-table", has_text="Decisions by lead").locator("tbody tr")
    expect(leads).to_have_count(len(figures["leads"]))
    times = page.locator(".ss-table", has_text="Full answer").locator("tbody tr").first
    shown = [f"{figures['latency_ms'][part] / 1000:.1f} s" for part in ("p50", "p95", "p99")]
    expect(times.locator("td")).to_have_text(["Full answer", *shown])
    expect(page.locator(".ss-trend:has(polyline)")).to_have_count(
        10
    )  # no price is known, and no rule let a write run
    expect(page.locator(".ss-chart")).to_have_count(2)
    expect(page.locator(".ss-download")).to_have_attribute(
        "href", "/api/v1/analytics/export?range=30d&what=figures&format=csv"
    )
    save(page, "analytics-light")
    page.get_by_role("button", name="Switch to dark theme").click()
    save(page, "analytics-dark")
    # Hours or days: one bar for each.
    for words, range_ in (("24 hours", "24h"), ("7 days", "7d")):
        page.locator("#ss-analytics-bar").get_by_text(words).click()
        buckets = with_past.get("/analytics", range=range_)["series"]
        expect(page.locator(".ss-chart").first.locator(".ss-bucket")).to_have_count(len(buckets))


def test_it_fits_a_phone(with_past: AppProcess, open_window: Window, save: Save) -> None:
    page = open_window(with_past.url, viewport=PHONE)
    page.get_by_role("tab", name="Analytics").click()
    expect(page.locator(".ss-chart")).to_have_count(2)
    # The first figures are seen without scrolling, and no table hides its last columns.
    expect(_card(page, "Conversations")).to_be_in_viewport(ratio=1)
    for width in (PHONE["width"], 1100, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)
        page.wait_for_function(ALL_COLUMNS_SHOWN)
    page.set_viewport_size(PHONE)
    help_ = _card(page, "Reopened").get_by_role("button", name="What this metric counts")
    help_.click()
    said = _card(page, "Reopened").locator(".ss-definition")
    expect(said).to_contain_text("started another conversation within 7 days")
    expect(said).to_be_in_viewport(ratio=1)
    save(page, "phone-analytics-light")


def test_filters_apply_to_all_and_a_figure_leads_to_its_conversations(
    demo: AppProcess, open_window: Window
) -> None:
    page = open_window(demo.url)
    page.get_by_role("tab", name="Analytics").click()
    expect(_card(page, "Conversations").locator("b")).to_be_visible()
    page.evaluate("""() => {
        window.seen = [];
        const section = document.querySelector("#ss-analytics");
        new MutationObserver(() => window.seen.push(section.hasAttribute("aria-busy"))).observe(
            section, { attributes: true, attributeFilter: ["aria-busy"] });
    }""")
    page.locator("#ss-analytics-bar").get_by_text("30 days").click()
    # The old values are dimmed until the new ones have come.
    month = demo.get("/analytics", range="30d")
    expect(_card(page, "Conversations").locator("b")).to_have_text(f"{month['conversations']:,}")
    page.wait_for_function(
        "window.seen.includes(true) && !document.querySelector('#ss-analytics[aria-busy]')"
    )
    page.get_by_label("Tool", exact=True).select_option("refund_order")
    figures = demo.get("/analytics", range="30d", tool="refund_order")
    expect(_card(page, "Conversations").locator("b")).to_have_text(f"{figures['conversations']:,}")
    tools = page.locator(".ss-table", has_text="Approvals by tool").locator("tbody tr")
    expect(tools).to_have_count(1)
    page.get_by_role("button", name="Export…").click()
    form = page.get_by_role("form", name="Export")
    form.get_by_label("Decisions", exact=True).check()
    for column in form.get_by_role("checkbox").all()[2:]:
        column.uncheck()
    export = "/api/v1/analytics/export?range=30d&tool=refund_order&what=decisions&format=csv"
    expect(form.get_by_role("link", name="Download")).to_have_attribute(
        "href", f"{export}&columns=decided_at%2Crequested_at"
    )
    page.get_by_role("button", name="robin").click()
    expect(page.get_by_role("tab", name="Replay")).to_have_attribute("aria-selected", "true")
    chip = page.get_by_role("button", name="Remove filter Decisions by lead: Robin, last 30 days")
    expect(chip).to_be_visible()
    asked = {"figure": "leads", "line": "robin", "tool": "refund_order", "counted_since": figures["since"]}
    listed = demo.get("/conversations", **asked)
    expect(page.locator(".ss-conversations button")).to_have_count(min(25, len(listed)))
    chip.click()
    expect(chip).to_have_count(0)
    page.get_by_role("tab", name="Analytics").click()
    _card(page, "Resolved").locator(".ss-metric-line .ss-metric-link").click()
    expect(
        page.get_by_role("button", name="Remove filter Outcome: Resolved or Resolved with approval")
    ).to_be_visible()
    resolved = sum(figures["outcomes"][name] for name in ("resolved", "resolved_with_approval"))
    expect(page.locator(".ss-conversations button")).to_have_count(min(25, resolved))


def test_a_replay_is_played_shared_and_kept(demo: AppProcess, open_window: Window) -> None:
    thread_id = "demo-history-00003"
    count = len(demo.get(f"/replay/{thread_id}"))
    page = open_window(f"{demo.url}/?thread={thread_id}#replay", share="last")
    expect(page.locator(".ss-thread")).to_contain_text(f"Conversation {thread_id}")
    expect(page.locator(".ss-step")).to_have_count(count)
    page.get_by_role("button", name="▶ Play").click()
    expect(page.locator(".ss-place")).to_have_text(f"Step {count} of {count}")
    expect(page.get_by_role("button", name="▶ Play")).to_be_visible()
    for name, path in (("Raw JSON", "all"), ("Save as test", "test")):
        link = page.get_by_role("link", name=name)
        expect(link).to_have_attribute("href", f"/api/v1/replay/{thread_id}/{path}")


def test_pictures_of_both_tabs_for_the_documentation(
    demo: AppProcess, open_window: Window, save: Save
) -> None:
    """`make picture` keeps them. Nothing of another tab's style moves what is in them."""
    shown = demo.get("/conversations", outcome="resolved_with_approval", limit=1)[0]["thread_id"]
    for name, viewport in (("", WIDE), ("-phone", PHONE)):
        page = open_window(demo.url, viewport=viewport)
        page.get_by_role("tab", name="Analytics").click()
        expect(page.locator(".ss-chart")).to_have_count(2)
        figure = _card(page, "Conversations")
        assert figure.locator("b").evaluate(_LEFT) == figure.locator(".ss-trend").evaluate(_LEFT)
        save(page, f"docs-analytics{name}")
        page.get_by_role("tab", name="Replay").click()
        placeholder, conversations = page.locator(".ss-choose"), page.locator(".ss-find")
        if not name:
            assert placeholder.evaluate(_TOP) == conversations.evaluate(_TOP)
        page.locator(f"[data-thread='{shown}']").click()
        expect(page.locator(".ss-step").first).to_be_visible()
        expect(page.locator(".ss-replay [aria-busy]")).to_have_count(0)
        links = page.locator(".ss-takeaway .ss-links").evaluate("node => node.scrollWidth - node.clientWidth")
        assert links <= 0
        save(page, f"docs-replay{name}")
        page.close()


def test_an_admin_queries_the_events(demo: AppProcess, open_window: Window) -> None:
    page = open_window(demo.url)
    page.get_by_role("tab", name="Analytics").click()
    page.get_by_text("Query events (SQL)").click()
    sql = page.get_by_role("textbox", name="SQL")
    sql.fill("SELECT count(DISTINCT thread_id) AS conversations FROM events")
    page.get_by_role("button", name="Run").click()
    count = demo.get("/analytics", range="all")["conversations"]
    expect(page.locator(".ss-sql td")).to_have_text(str(count))
    sql.fill("DROP TABLE events")
    sql.press("Control+Enter")
    expect(page.locator(".ss-sql .ss-problem")).to_contain_text("enter one SELECT")
    sql.fill("SELECT '<img src=x onerror=alert(1)>' AS \"<b>\"")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".ss-sql td")).to_have_text("<img src=x onerror=alert(1)>")


def test_demo_data_is_named_and_deleted_and_an_empty_range_says_what_to_do(
    demo: AppProcess, open_window: Window
) -> None:
    page = open_window(f"{demo.url}/?thread=demo-history-00003#replay", share="last")
    note_text = "are demo data"
    expect(page.locator(".ss-demo-note:visible")).to_contain_text(note_text)
    page.get_by_role("tab", name="Analytics").click()
    note = page.locator(".ss-demo-note:visible")
    expect(note).to_contain_text(note_text)
    page.on("dialog", lambda dialog: dialog.accept())
    note.get_by_role("button", name="Delete demo data").click()
    expect(note).to_have_count(0)
    expect(page.get_by_text("No activity in this range")).to_be_visible()
    expect(page.locator(".ss-chart")).to_have_count(0)


EMPTY = {"since": "2020-01-01T00:00:00Z", "until": "2020-01-08T00:00:00Z", "compare": True}
# Whether no table hides a column.
ALL_COLUMNS_SHOWN = """() => [...document.querySelectorAll(".ss-table .ss-scroll")]
    .every((one) => one.scrollWidth <= one.clientWidth)"""
HOSTILE = '<img src=x onerror=alert(1)>"\u202e'


@pytest.fixture
def shown(server: AppProcess, open_window: Window) -> Callable[..., Page]:
    """Opens the tab on the metrics of an empty range, with changes."""
    empty = server.get("/analytics", **EMPTY) | {"range": "7d", "agents": [{"agent": "discount", "turns": 1}]}

    page: Page | None = None

    def opened(*, previous: Any = None, latest: list[Any] | None = None, **changes: Any) -> Page:
        metrics = empty | {"previous": None if previous is None else empty | previous} | changes

        def answer(route: Route, data: Any) -> None:
            body = json.dumps({"success": True, "data": data, "error": None, "meta": {"next_cursor": None}})
            route.fulfill(body=body, content_type="application/json")

        nonlocal page
        if page:
            page.unroute_all()
            page.get_by_role("tab", name="Console").click()
        page = page or open_window(server.url)
        page.route("**/api/v1/analytics?*", lambda route: answer(route, metrics))
        page.route("**/api/v1/conversations?*", lambda route: answer(route, latest or []))
        # Another time, the figures of before are shown until the new ones have come.
        with page.expect_response("**/api/v1/analytics?*"):
            page.get_by_role("tab", name="Analytics").click()
        expect(page.locator("#ss-analytics")).not_to_have_attribute("aria-busy", "true")
        expect(page.locator(".ss-metric-name").first).to_be_visible()
        return page

    return opened


def _shown_conversations(page: Page, link: Locator) -> dict[str, list[str]]:
    """The filters of the list that a link opens."""
    with page.expect_request(re.compile(r"/conversations\?limit=25&.+")) as request:
        link.click()
    query = parse_qs(urlsplit(request.value.url).query)
    del query["limit"]
    return query


def test_without_activity_no_rate_is_made_up(shown: Callable[..., Page]) -> None:
    page = shown()
    content = page.locator(".ss-metrics-content")
    expect(content.locator(".ss-metrics b").filter(has_text=re.compile("^–$"))).to_have_count(7)
    expect(content.get_by_text("No data", exact=True)).to_have_count(7)
    text = content.inner_text()
    assert not re.search("null|undefined|NaN|None", text)
    expect(page.locator(".ss-trend polyline")).to_have_count(0)


def test_numbers_have_units_that_people_read(shown: Callable[..., Page], server: AppProcess) -> None:
    approvals = server.get("/analytics", **EMPTY)["approvals"]
    page = shown(
        conversations=2054,
        resolution_rate=0.861,
        approvals=approvals | {"requested": 1200, "median_seconds_to_decide": 150},
        latency_ms={"p50": 15.2, "p95": 2400, "p99": 9000},
        tokens={"input": 4_000_000, "output": 123_456},
        cost_usd=30.418,
        cost_per_conversation_usd=0.0148,
    )
    for text in ("2,054", "86%", "1,200", "2.5 min", "15 ms", "2.4 s", "4.1 M", "$30.42", "$0.0148"):
        expect(page.locator(".ss-metrics")).to_contain_text(text)


def test_a_change_says_whether_it_is_welcome(shown: Callable[..., Page]) -> None:
    before = {"conversations": 100, "resolution_rate": 0.5, "escalation_rate": 0.1}
    page = shown(previous=before, conversations=150, resolution_rate=0.6, escalation_rate=0.2)
    expect(_card(page, "Conversations").locator("em")).to_have_text("▲ 50%")
    expect(_card(page, "Resolved").locator("em.ss-good")).to_have_text("▲ 10 pts")
    expect(_card(page, "Escalated").locator("em.ss-bad")).to_have_text("▲ 10 pts")
    expect(page.get_by_text("Not enough history to compare.")).to_have_count(0)
    page = shown(previous=before, conversations=5000)
    expect(_card(page, "Conversations").locator("em")).to_have_text("▲ ×50")


def test_without_a_previous_period_it_says_so(shown: Callable[..., Page]) -> None:
    expect(shown().get_by_text("Not enough history to compare.")).to_be_visible()
    expect(shown(range="all").get_by_text("Not enough history to compare.")).to_have_count(0)


def test_a_metric_leads_to_the_conversations_it_counts(
    shown: Callable[..., Page], server: AppProcess
) -> None:
    span = {name: [server.get("/analytics", **EMPTY)[name]] for name in ("since", "until")}
    counted = {f"counted_{name}": value for name, value in span.items()}
    filters = {"agent": None, "tool": "cancel_order", "channel": None}

    def linked(label: str) -> dict[str, list[str]]:
        page = shown(filters=filters)
        return _shown_conversations(page, _card(page, label).locator(".ss-metric-line .ss-metric-link"))

    tool = {"tool": ["cancel_order"]}
    assert linked("Resolved") == tool | span | {"outcome": ["resolved", "resolved_with_approval"]}
    assert linked("Approvals") == tool | counted | {"figure": ["approvals"]}
    assert linked("Auto-approved") == tool | counted | {"figure": ["by_policy"]}
    assert linked("Conversations") == tool | span


def test_every_day_has_its_bar_with_what_is_open(shown: Callable[..., Page]) -> None:
    names = ("resolved_with_approval", "escalated", "rejected", "abandoned", "approvals", "by_policy")
    zero = dict.fromkeys((*names, "of_known_customers", "reopened", "tokens", "hours_saved"), 0)
    missing = dict.fromkeys(("turns_to_resolution", "seconds_to_decide", "cost_usd"))
    day = zero | missing | {"conversations": 5, "resolved": 3}

    def at(number: int, seconds: float | None) -> dict[str, Any]:
        times = {"p50": seconds, "p95": None, "p99": None}
        return day | {"at": f"2026-03-0{number}T00:00:00.000000Z", "latency_ms": times}

    page = shown(series=[at(1, 1500.0), at(2, None), at(3, 800.0)])
    charts = page.locator(".ss-chart")
    expect(charts).to_have_count(2)
    conversations, times = charts.first, charts.last
    buckets = conversations.locator(".ss-bucket")
    expect(buckets).to_have_count(3)
    title = re.compile(r"^1 Mar\nResolved: 3\n(.*\n)*Open: 2$")
    expect(buckets.first).to_have_attribute("title", title)
    expect(buckets.first.locator("i")).to_have_count(2)
    # A line has a gap where a value is missing.
    expect(times.locator("polyline")).to_have_count(2)
    expect(times.locator(".ss-bucket").first).to_have_attribute("title", "1 Mar\nMedian: 1.5 s")


def test_hasty_decisions_are_marked(shown: Callable[..., Page]) -> None:
    lead = {"approved": 9, "rejected": 1, "median_seconds": 2.0, "p95_seconds": 4.0, "decided": 10}
    quick = lead | {"decided_by": "sam", "hasty": 6, "hasty_share": 0.6}
    slow = lead | {"decided_by": "dana", "hasty": 1, "hasty_share": 0.1}
    page = shown(leads=[quick, slow])
    expect(page.locator(".ss-table .ss-chip--red")).to_have_text("6 (60%)")
    found = _shown_conversations(page, page.get_by_role("button", name="sam", exact=True))
    assert (found["figure"], found["line"]) == (["leads"], ["sam"])


def test_text_from_outside_is_text(shown: Callable[..., Page]) -> None:
    conversation = {
        "thread_id": "t",
        "customer_id": HOSTILE,
        "opening": HOSTILE,
        "agents": [HOSTILE],
        "status": "active",
        "outcome": None,
        "last_at": "2026-11-23T10:00:00Z",
    }
    table = shown(latest=[conversation]).locator(".ss-latest")
    shown_as = re.escape('<img src=x onerror=alert(1)>"⟨U+202E⟩')
    expect(table).to_have_text(re.compile(rf"({shown_as}[\s\S]*){{3}}"))
    expect(table.locator("img")).to_have_count(0)
