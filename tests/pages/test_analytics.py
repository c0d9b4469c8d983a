"""The Analytics tab's own HTML: figures put plainly, none made up, and no markup from outside."""

from typing import Any

from pages.analytics import cards_html, latest_html

EMPTY: dict[str, Any] = {
    "conversations": 0,
    "resolution_rate": None,
    "escalation_rate": None,
    "approvals": {
        "requested": 0,
        "approved": 0,
        "rejected": 0,
        "edited": 0,
        "expired": 0,
        "pending": 0,
        "median_seconds_to_decide": None,
    },
    "agents": [],
    "tools": [],
    "latency_ms": {"p50": None, "p95": None, "p99": None},
    "tokens": {"input": 0, "output": 0},
    "cost_usd": None,
}


def test_where_nothing_happened_no_rate_is_made_up() -> None:
    html = cards_html(EMPTY)
    assert html.count("<b>–</b>") == 3
    assert "None" not in html


def test_figures_are_put_in_units_people_read() -> None:
    approvals = EMPTY["approvals"] | {"requested": 1200, "median_seconds_to_decide": 150}
    found = EMPTY | {
        "conversations": 2054,
        "resolution_rate": 0.861,
        "approvals": approvals,
        "latency_ms": {"p50": 15.2, "p95": 2400, "p99": 9000},
        "tokens": {"input": 4_000_000, "output": 123_456},
        "cost_usd": 30.418,
    }
    html = cards_html(found)
    for words in ("2,054", "86%", "1,200", "2 min", "15 ms", "2.4 s", "4.1 M", "$30.42"):
        assert words in html


def test_text_from_outside_is_text() -> None:
    hostile = '<img src=x onerror=alert(1)>"\u202e'
    item = {
        "thread_id": "t",
        "customer_id": hostile,
        "opening": hostile,
        "agents": [hostile],
        "status": "active",
        "outcome": None,
        "last_at": "2026-11-23T10:00:00Z",
    }
    html = latest_html([item], {})
    assert "<img" not in html
    assert html.count("&lt;img") == 3
    assert "\u202e" not in html
