"""The Analytics tab: cards, plots and the latest conversations of a range. The figures are the services'."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
import pandas as pd

from pages.plain import visible
from pages.who import asking
from smart_support import clock
from smart_support.auth import Role
from smart_support.errors import SmartSupportError

if TYPE_CHECKING:
    from smart_support.application import Services

RANGES = [("24 hours", "24h"), ("7 days", "7d"), ("30 days", "30d"), ("90 days", "90d"), ("All", "all")]
LATEST = 8
OUTCOMES = ["Approved", "Edited", "Rejected", "Expired", "Pending"]
INDIGO, TEAL, AMBER, RED, GREY = "#4f46e5", "#0d9488", "#d97706", "#dc2626", "#94a3b8"
_EMPTY = """<div class="ss-card ss-empty"><strong>Nothing has happened in this range yet</strong>
<span>Ask something in the Console tab, or choose a longer range.</span></div>"""
_COLOURS = {
    "Conversations": INDIGO,
    "Approvals": AMBER,
    "Escalations": RED,
    "Approved": TEAL,
    "Edited": INDIGO,
    "Rejected": RED,
    "Expired": GREY,
    "Pending": AMBER,
    "ok": TEAL,
    "error": RED,
}


def build(services: "Services", tab: gr.Tab) -> None:
    """The tab's parts; they are filled each time it is opened, its range is changed, or it is refreshed."""
    with gr.Row(elem_id="ss-analytics-bar"):
        chosen = gr.Radio(RANGES, value="7d", label="Range", show_label=False, container=False, scale=3)
        refresh = gr.Button("Refresh", scale=0, min_width=110)
        export = gr.HTML(_export("7d"), apply_default_css=False, elem_classes="ss-raw", min_height=0)
    cards = gr.HTML(apply_default_css=False, elem_classes="ss-raw")
    with gr.Column(visible=False) as plots:
        with gr.Row():
            over_time = _plot(gr.LinePlot, "when", "Over time", "what", scale=3)
            approvals = _plot(
                gr.BarPlot, "outcome", "What became of approvals", "outcome", scale=2, sort=OUTCOMES
            )
        with gr.Row():
            agents = _plot(gr.BarPlot, "agent", "Turns by agent", None, scale=2, sort="-y")
            tools = _plot(gr.BarPlot, "tool", "Tool calls", "result", scale=3, sort="-y", angle=-15)
        latest = gr.HTML(apply_default_css=False, elem_classes="ss-raw")

    async def figures(range_: str, request: gr.Request) -> tuple[Any, ...]:
        try:
            asking(services, request).must_be(Role.LEAD)
            found = await services.metrics.analytics(range_)
            listed, _ = await services.metrics.conversations(limit=LATEST, since=found["since"])
        except SmartSupportError as error:
            raise gr.Error(error.message, print_exception=False) from None
        some = bool(found["conversations"] or any(agent["turns"] for agent in found["agents"]))
        titles = {agent.name: agent.title for agent in services.team.agents}
        return (
            cards_html(found) if some else _EMPTY,
            gr.Column(visible=some),
            _series(found["series"]),
            _outcomes(found["approvals"]),
            _agents(found["agents"], titles),
            _tools(found["tools"]),
            latest_html(listed, titles),
            _export(range_),
        )

    shown = [cards, plots, over_time, approvals, agents, tools, latest, export]
    for listener in (tab.select, chosen.change, refresh.click):
        listener(
            figures,
            chosen,
            shown,
            api_visibility="private",
            concurrency_limit=None,
            show_progress="hidden",
            trigger_mode="always_last",
        )


def cards_html(found: Mapping[str, Any]) -> str:
    """The row of cards: a figure, what it counts, and one line more."""
    approvals, latency, tokens = found["approvals"], found["latency_ms"], found["tokens"]
    decided = _count(approvals["requested"])
    cost = found["cost_usd"]
    return _row(
        (
            "Conversations",
            f"{found['conversations']:,}",
            f"{sum(agent['turns'] for agent in found['agents']):,} turns of agents",
            "Conversations that began in this range",
        ),
        (
            "Resolved",
            _percent(found["resolution_rate"]),
            f"{_percent(found['escalation_rate'])} escalated to a human",
            "Of the conversations with an outcome, how many were resolved, with or without an approval",
        ),
        (
            "Approvals",
            decided,
            f"{approvals['approved'] + approvals['edited']:,} approved · {approvals['rejected']:,} rejected"
            f" · {approvals['expired']:,} expired",
            "Writes that stopped for a human in this range, and what became of them",
        ),
        (
            "Time to decide",
            _duration(approvals["median_seconds_to_decide"]),
            f"median · {approvals['pending']:,} pending",
            "From the request to a human's decision, expired ones left out",
        ),
        (
            "Answer time",
            _duration(_seconds(latency["p50"])),
            f"95th percentile {_duration(_seconds(latency['p95']))}",
            "From the start of a turn to its end, without the time a decision took",
        ),
        (
            "Tokens",
            _short(tokens["input"] + tokens["output"]),
            f"${cost:,.2f} model cost" if cost is not None else "no price known for this model",
            "Tokens in and out, as the model reports them",
        ),
    )


def latest_html(listed: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> str:
    """The latest conversations as a table."""
    rows = "".join(
        f"<tr><td>{escape(_moment(item['last_at']))}</td><td>{_text(item['customer_id'] or '–')}</td>"
        f"<td>{_text(item.get('opening') or item['thread_id'])}</td>"
        f"<td>{_text(', '.join(titles.get(name, name) for name in item['agents']) or '–')}</td>"
        f"<td>{_text(item['status'])}</td>"
        f"<td>{_text((item['outcome'] or '–').replace('_', ' '))}</td></tr>"
        for item in listed
    )
    head = "".join(
        f"<th>{name}</th>" for name in ("Last", "Customer", "Asked", "Agents", "Status", "Outcome")
    )
    return (
        '<div class="ss-card ss-table"><strong>Latest conversations</strong><div class="ss-scroll">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></div>"
    )


def _plot(
    kind: Any, x: str, title: str, color: str | None, *, scale: int, sort: Any = None, angle: int = 0
) -> Any:
    return kind(
        x=x,
        y="count",
        color=color,
        color_map=_COLOURS,
        sort=sort,
        title=title,
        x_title=" ",
        y_title=" ",
        color_title=" ",
        x_label_angle=angle,
        y_lim=[0, None],
        height=250,
        scale=scale,
        min_width=300,
        tooltip="axis",
        buttons=[],
    )


def _series(series: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        {"when": clock.parse(item["at"]).replace(tzinfo=None), "what": name.capitalize(), "count": item[name]}
        for item in series
        for name in ("conversations", "approvals", "escalations")
    ]
    return pd.DataFrame(rows, columns=["when", "what", "count"])


def _outcomes(approvals: Mapping[str, Any]) -> pd.DataFrame:
    rows = [{"outcome": name, "count": approvals[name.lower()]} for name in OUTCOMES]
    return pd.DataFrame(rows, columns=["outcome", "count"])


def _agents(agents: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> pd.DataFrame:
    rows = [
        {"agent": visible(titles.get(item["agent"], item["agent"])), "count": item["turns"]}
        for item in agents[:8]
    ]
    return pd.DataFrame(rows, columns=["agent", "count"])


def _tools(tools: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        {"tool": visible(item["tool"]), "result": result, "count": count}
        for item in tools[:8]
        for result, count in (("ok", item["calls"] - item["errors"]), ("error", item["errors"]))
    ]
    return pd.DataFrame(rows, columns=["tool", "result", "count"])


def _export(range_: str) -> str:
    address = f"/api/v1/analytics/export?range={escape(range_)}&amp;format="
    links = (
        f'<a class="ss-button" href="{address}{kind}" download>{label}</a>'
        for kind, label in (("csv", "Export CSV"), ("parquet", "Parquet"))
    )
    return f'<div class="ss-links">{"".join(links)}</div>'


def _row(*cards: tuple[str, str, str, str]) -> str:
    return (
        '<div class="ss-figures">'
        + "".join(
            f'<div class="ss-card" title="{escape(meaning)}"><span>{escape(label)}</span>'
            f"<b>{escape(figure)}</b><small>{escape(more)}</small></div>"
            for label, figure, more, meaning in cards
        )
        + "</div>"
    )


def _text(value: str) -> str:
    return escape(visible(value))


def _count(value: int) -> str:
    return f"{value:,}"


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.0%}"


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _duration(seconds: float | None) -> str:
    """`–`, `15 ms`, `2.4 s`, `3 min`, `2 h`."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _short(number: int) -> str:
    """`950`, `12.3 k`, `4.1 M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def _moment(at: str) -> str:
    return f"{clock.parse(at):%d %b %H:%M} UTC"
