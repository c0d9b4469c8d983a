"""The plots of the Analytics tab, and the tables of numbers they draw. Figures as HTML: figures.py."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
import pandas as pd

from pages.plain import visible
from smart_support import clock

OUTCOMES = ["Approved", "Edited", "Rejected", "Expired", "Pending"]
INDIGO, TEAL, AMBER, RED, GREY = "#4f46e5", "#0d9488", "#d97706", "#dc2626", "#94a3b8"
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


def placed() -> list[Any]:
    """The four plots, in their rows; filled by `drawn`."""
    with gr.Row():
        over_time = _plot(gr.LinePlot, "when", "Over time", "what", scale=3)
        approvals = _plot(
            gr.BarPlot, "outcome", "What became of approvals", "outcome", scale=2, sort=OUTCOMES
        )
    with gr.Row():
        agents = _plot(gr.BarPlot, "agent", "Turns by agent", None, scale=2, sort="-y")
        tools = _plot(gr.BarPlot, "tool", "Tool calls", "result", scale=3, sort="-y", angle=-15)
    return [over_time, approvals, agents, tools]


def drawn(found: Mapping[str, Any], titles: Mapping[str, str]) -> list[pd.DataFrame]:
    """What the plots show of the figures."""
    return [
        _series(found["series"]),
        _outcomes(found["approvals"]),
        _agents(found["agents"], titles),
        _tools(found["tools"]),
    ]


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
