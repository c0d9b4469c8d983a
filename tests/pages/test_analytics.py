"""The Analytics tab's own HTML: figures put plainly, none made up, and no markup from outside."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from pages.analytics import cards, format, plots, tables
from smart_support.analytics.metrics import Metrics
from smart_support.analytics.query_files import FIGURES, definition
from smart_support.storage.events.embedded import EmbeddedEventStore

MEANING = {figure: definition(figure) for figure in FIGURES}


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """The figures of a log in which nothing has happened."""
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    yield await Metrics(log, 1800).analytics("7d")
    log.close()


async def test_where_nothing_happened_no_rate_is_made_up(empty: dict[str, Any]) -> None:
    shown = (tables.bars(empty, {}, MEANING), tables.tables(empty, MEANING))
    html = cards.cards(empty, MEANING) + "".join(shown)
    assert html.count("<b>–</b>") == 7
    assert html.count("None in this range") == 7
    assert "None" not in html.replace("None in this range", "")
    assert plots.drawn(empty)[-1].empty


async def test_figures_are_put_in_units_people_read(empty: dict[str, Any]) -> None:
    approvals = empty["approvals"] | {"requested": 1200, "median_seconds_to_decide": 150}
    found = empty | {
        "conversations": 2054,
        "resolution_rate": 0.861,
        "approvals": approvals,
        "latency_ms": {"p50": 15.2, "p95": 2400, "p99": 9000},
        "tokens": {"input": 4_000_000, "output": 123_456},
        "cost_usd": 30.418,
        "cost_per_conversation_usd": 0.0148,
    }
    html = cards.cards(found, MEANING)
    for words in ("2,054", "86%", "1,200", "2.5 min", "15 ms", "2.4 s", "4.1 M", "$30.42", "$0.0148"):
        assert words in html


async def test_a_change_says_whether_it_is_welcome(empty: dict[str, Any]) -> None:
    before = empty | {"conversations": 100, "resolution_rate": 0.5, "escalation_rate": 0.1}
    now = {"conversations": 150, "resolution_rate": 0.6, "escalation_rate": 0.2, "previous": before}
    html = cards.cards(empty | now, MEANING)
    assert 'ss-change" title="Against the time before, as long">▲ 50%<' in html
    assert "ss-good" in html.split("Resolved")[1].split("To a person")[0]
    assert "ss-bad" in html.split("To a person")[1].split("Came back")[0]
    much = empty | {"conversations": 5000, "previous": before}
    assert "▲ ×50" in cards.cards(much, MEANING)


async def test_where_nothing_is_compared_it_says_why(empty: dict[str, Any]) -> None:
    note = "the record does not reach back"
    assert note in cards.cards(empty | {"previous": None}, MEANING)
    assert note not in cards.cards(empty | {"previous": empty}, MEANING)
    assert note not in cards.cards(empty | {"previous": None, "range": "all"}, MEANING)


async def test_a_figure_leads_to_all_that_it_counts(empty: dict[str, Any]) -> None:
    found = empty | {"filters": {"agent": None, "tool": "cancel_order", "channel": None}}
    html = cards.cards(found, MEANING)

    def leads(label: str) -> dict[str, list[str]]:
        card = html.split(f">{label} <button")[1]
        return parse_qs(unescape(card.split('data-find="')[1].split('"')[0]))

    assert leads("Resolved")["outcome"] == ["resolved", "resolved_with_approval"]
    assert leads("Approvals") == {
        "figure": ["approvals"],
        "tool": ["cancel_order"],
        "counted_since": [found["since"]],
        "counted_until": [found["until"]],
    }
    assert leads("By policy alone")["figure"] == ["by_policy"]
    assert leads("Conversations") == {
        "tool": ["cancel_order"],
        "since": [found["since"]],
        "until": [found["until"]],
    }


async def test_every_day_has_its_bar_and_what_is_open_is_in_it(empty: dict[str, Any]) -> None:
    day = dict.fromkeys(("resolved_with_approval", "escalated", "rejected", "abandoned"), 0)
    day |= {"conversations": 5, "resolved": 3, "latency_ms": {"p50": 1500.0, "p95": None, "p99": None}}
    series = [day | {"at": f"2026-03-0{number}T00:00:00.000000Z"} for number in (1, 2)]
    hours, conversations, times = plots.drawn(empty | {"series": series})
    assert (hours.visible, conversations.visible) == (False, True)
    rows = conversations.value["data"]
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    # In the middle of its bar, so that the last day does not fall into the one before.
    assert [row[0] / 1000 for row in rows[:: len(plots.OUTCOMES)]] == [
        noon.timestamp(),
        (noon + timedelta(days=1)).timestamp(),
    ]
    assert [row[2] for row in rows[: len(plots.OUTCOMES)]] == [3, 0, 0, 0, 0, 2]
    assert list(times.seconds) == [1.5, 1.5]


def test_a_trend_has_a_gap_where_nothing_is_known() -> None:
    assert format.trend([1.0, None, 2.0, 4.0]).count("<polyline") == 2
    assert "<polyline" not in format.trend([0, 0, None])


async def test_haste_is_told_apart(empty: dict[str, Any]) -> None:
    lead = {
        "approved": 9,
        "edited": 0,
        "rejected": 1,
        "median_seconds": 2.0,
        "p95_seconds": 4.0,
        "decided": 10,
    }
    quick = lead | {"decided_by": "sam", "hasty": 6, "hasty_share": 0.6}
    slow = lead | {"decided_by": "dana", "hasty": 1, "hasty_share": 0.1}
    html = tables.tables(empty | {"leads": [quick, slow]}, MEANING)
    assert html.count("ss-chip--red") == 1
    assert "figure=leads&amp;line=sam&amp;counted_since=" in html


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
    html = tables.latest([item], {})
    assert "<img" not in html
    assert html.count("&lt;img") == 3
    assert "\u202e" not in html
