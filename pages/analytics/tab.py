"""The Analytics tab: its bar of range and filters, and what is shown for them. No figure is made here."""

from html import escape
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from pages.analytics import cards, plots, tables
from pages.current_user import asking
from smart_support.analytics.filters import CHANNELS, About, Filters
from smart_support.analytics.query_files import FIGURES, definition
from smart_support.errors import SmartSupportError
from smart_support.identity.users import Role
from smart_support.services import Services

RANGES = [("24 hours", "24h"), ("7 days", "7d"), ("30 days", "30d"), ("90 days", "90d"), ("All", "all")]
LATEST = 8
_DEMO_NOTE = """<div class="ss-demo-note" role="status" hidden><span></span>
<button type="button" class="ss-button">Clear it</button></div>"""
_ASK = """
<details class="ss-card ss-sql">
  <summary>Ask the record yourself
    <small>one SELECT over <code>events</code>, read-only, 5 seconds</small></summary>
  <textarea aria-label="SQL" rows="4" spellcheck="false" maxlength="20000">
SELECT tool, status, count(*) AS results
FROM events WHERE type = 'tool_result' GROUP BY ALL ORDER BY results DESC</textarea>
  <div class="ss-links"><button type="button" class="ss-button ss-run">Run</button></div>
  <p class="ss-problem" role="alert" hidden></p>
  <div class="ss-scroll" role="region" aria-label="Rows" tabindex="0"></div>
</details>
"""
_ON_LOAD = "(window.ssMounts ??= []).push(['analytics', element], ['demo_note', element]);"


def build(services: Services, tab: gr.Tab) -> None:
    """The tab's parts; they are filled each time it is opened, its bar is changed, or it is refreshed."""
    gr.HTML(_DEMO_NOTE, apply_default_css=False, elem_classes="ss-raw", min_height=0)
    with gr.Row(elem_id="ss-analytics-bar"):
        chosen = gr.Radio(RANGES, value="7d", label="Range", show_label=False, container=False, min_width=0)
        refresh = gr.Button("Refresh", scale=0, min_width=0)
        export = gr.HTML(
            _export("7d", Filters()), apply_default_css=False, elem_classes="ss-raw", min_height=0
        )
    with gr.Row(elem_id="ss-analytics-filters"):
        agent = _choice("Agent", [("Any agent", "")])
        tool = _choice("Tool", [("Any tool", "")])
        channel = _choice("Door", [("Any door", ""), *((name.capitalize(), name) for name in CHANNELS)])
    shown_cards = gr.HTML(cards.COUNTING, apply_default_css=False, elem_classes="ss-raw", elem_id="ss-cards")
    with gr.Column(visible=False) as below:
        drawn = plots.placed()
        bars = gr.HTML(apply_default_css=False, elem_classes="ss-raw")
        shown_tables = gr.HTML(apply_default_css=False, elem_classes="ss-raw")
        latest = gr.HTML(apply_default_css=False, elem_classes="ss-raw")
    gr.HTML(_ASK, js_on_load=_ON_LOAD, apply_default_css=False, elem_classes="ss-raw", min_height=0)
    meaning = {figure: definition(figure) for figure in FIGURES}

    async def show(range_: str, agent: str, tool: str, channel: str, request: gr.Request) -> tuple[Any, ...]:
        try:
            asking(services, request).must_be(Role.LEAD)
            filters = Filters(agent or None, tool or None, channel or None)
            found = await services.metrics.analytics(range_, filters=filters, compare=True)
            about = About(tool=filters.tool, channel=filters.channel)
            listed, _ = await services.metrics.conversations(
                limit=LATEST, since=found["since"], agent=filters.agent, about=about
            )
        except SmartSupportError as error:
            raise gr.Error(error.message, print_exception=False) from None
        some = bool(found["conversations"] or any(one["turns"] for one in found["agents"]))
        titles = {one.name: one.title for one in services.team.agents}
        return (
            cards.cards(found, meaning) if some else cards.EMPTY,
            gr.Column(visible=some),
            *plots.drawn(found),
            tables.bars(found, titles, meaning) if some else "",
            tables.tables(found, meaning) if some else "",
            tables.latest(listed, titles),
            _export(range_, filters),
            gr.Dropdown(choices=[("Any agent", ""), *((title, name) for name, title in titles.items())]),
            gr.Dropdown(choices=[("Any tool", ""), *sorted(one.name for one in services.registry)]),
        )

    shown = [shown_cards, below, *drawn, bars, shown_tables, latest, export, agent, tool]
    for listener in (tab.select, chosen.input, refresh.click, agent.input, tool.input, channel.input):
        listener(
            show,
            [chosen, agent, tool, channel],
            shown,
            api_visibility="private",
            concurrency_limit=None,
            show_progress="hidden",
            trigger_mode="always_last",
        )


def _choice(label: str, choices: list[Any]) -> gr.Dropdown:
    return gr.Dropdown(choices, value="", label=label, show_label=False, container=False, min_width=100)


def _export(range_: str, filters: Filters) -> str:
    chosen = {name: value for name, value in filters.params.items() if value}
    links = (
        f'<a class="ss-button" href="/api/v1/analytics/export?{escape(query)}" download>{label}</a>'
        for kind, label in (("csv", "Export CSV"), ("parquet", "Parquet"))
        for query in [urlencode({"range": range_, "format": kind, **chosen})]
    )
    return f'<div class="ss-links">{"".join(links)}</div>'
