"""The plots of the Analytics tab, and the tables of numbers they draw. Figures as HTML: figures.py."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import gradio as gr
import pandas as pd

from smart_support import clock

# Each can be told from a light ground and from a dark one.
INDIGO, TEAL, AMBER, RED, GREY = "#6366f1", "#0d9488", "#d97706", "#ef4444", "#94a3b8"
PURPLE = "#a21caf"
OUTCOMES = {
    "Agents": ("resolved", TEAL),
    "Approved": ("resolved_with_approval", INDIGO),
    "Person": ("escalated", RED),
    "Rejected": ("rejected", PURPLE),
    "Abandoned": ("abandoned", GREY),
    "Open": ("", AMBER),
}
TIMES = {"half are quicker": ("p50", INDIGO), "95% are quicker": ("p95", AMBER)}


# A plot for each width of bars: where width and figures change at once, Gradio's draws the figures of before.
BARS = {"1h": ("an hour", timedelta(hours=1)), "1d": ("a day", timedelta(days=1))}


def placed() -> list[Any]:
    """The plots, in their row; filled by `drawn`."""
    colours = {name: colour for name, (_, colour) in (OUTCOMES | TIMES).items()}
    look: dict[str, Any] = {"x": "when", "color_map": colours, "x_title": " ", "color_title": " "}
    look |= {"height": 260, "min_width": 300, "tooltip": "all", "buttons": []}
    with gr.Row():
        conversations = [
            gr.BarPlot(
                y="conversations",
                x_bin=width,
                color="outcome",
                title=f"Conversations {each} (UTC)",
                y_title="conversations",
                visible=width == "1d",
                scale=3,
                **look,
            )
            for width, (each, _) in BARS.items()
        ]
        times = gr.LinePlot(
            y="seconds",
            color="of answers",
            title="Answer time",
            y_title="seconds",
            y_lim=[0, None],
            scale=2,
            **look,
        )
    return [*conversations, times]


def drawn(found: Mapping[str, Any]) -> list[Any]:
    """What the plots show of the figures: bars as wide as they were counted, and the times."""
    by_hour = len(found["series"]) > 1 and found["series"][1]["at"][:10] == found["series"][0]["at"][:10]
    bars = [
        gr.BarPlot(value=_conversations(found["series"], long), visible=True)
        if (width == "1h") == by_hour
        else gr.BarPlot(visible=False)
        for width, (_, long) in BARS.items()
    ]
    return [*bars, _times(found["series"])]


def _conversations(series: Sequence[Mapping[str, Any]], width: timedelta) -> pd.DataFrame:
    # By its middle: the end of a bin counts to it, and so would the next one's beginning.
    rows = [
        {
            "when": _when(item) + width / 2,
            "outcome": name,
            "conversations": item[field] if field else _open(item),
        }
        for item in series
        for name, (field, _) in OUTCOMES.items()
    ]
    return pd.DataFrame(rows, columns=["when", "outcome", "conversations"])


def _open(item: Mapping[str, Any]) -> int:
    return int(item["conversations"] - sum(item[field] for field, _ in OUTCOMES.values() if field))


def _times(series: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        {"when": _when(item), "of answers": name, "seconds": round(item["latency_ms"][part] / 1000, 3)}
        for item in series
        for name, (part, _) in TIMES.items()
        if item["latency_ms"][part] is not None
    ]
    return pd.DataFrame(rows, columns=["when", "of answers", "seconds"])


def _when(item: Mapping[str, Any]) -> Any:
    return clock.parse(item["at"]).replace(tzinfo=None)
