"""The Analytics tab: a shell, filled by `static/analytics/`."""

import gradio as gr

from smart_support.analytics.export import COLUMNS

_RANGES = {"24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days", "all": "All"}
_RANGES["custom"] = "Custom"
_RADIOS = "".join(
    f'<label><input type="radio" name="range" value="{value}"{" checked" if value == "7d" else ""}>'
    f"<span>{text}</span></label>"
    for value, text in _RANGES.items()
)
_WORDS = {"figures": "Figures by day or hour", "decisions": "Decisions", "events": "All events"}
_SUBJECTS = "".join(
    f'<label><input type="radio" name="what" value="{value}"{" checked" if value == "figures" else ""}>'
    f" {text}</label>"
    for value, text in _WORDS.items()
)
_COLUMN_CHOICES = "".join(
    f'<fieldset class="ss-columns" data-subject="{subject}" hidden><legend>Columns</legend>'
    + "".join(
        f'<label><input type="checkbox" value="{name}" checked> {name.replace("_", " ")}</label>'
        for name in columns
    )
    + "</fieldset>"
    for subject, columns in COLUMNS.items()
)
_PLACEHOLDER = '<div class="ss-card ss-loading-card"><span></span><b></b><small></small></div>'
_SHELL = f"""
<div class="ss-demo-note" role="status" hidden><span></span>
  <button type="button" class="ss-button">Delete demo data</button></div>
<section class="ss-analytics" id="ss-analytics" aria-label="Analytics">
  <form>
    <div id="ss-analytics-bar">
      <fieldset aria-label="Range">{_RADIOS}</fieldset>
      <div class="ss-dates" hidden><label>From <input type="date" name="since"></label>
        <label>to <input type="date" name="until"></label></div>
      <button class="ss-button">Refresh</button>
      <button type="button" class="ss-button ss-export-open" aria-expanded="false"
        aria-controls="ss-export">Export…</button>
    </div>
    <div id="ss-analytics-filters">
      <select name="agent" aria-label="Agent"><option value="">All agents</option></select>
      <select name="tool" aria-label="Tool"><option value="">All tools</option></select>
      <select name="channel" aria-label="Channel"><option value="">All channels</option>
        <option value="socket">WebSocket</option><option value="rest">REST</option>
        <option value="gradio">Gradio</option><option value="console">Console</option>
        <option value="system">System</option></select>
    </div>
  </form>
  <form class="ss-card" id="ss-export" aria-label="Export" hidden>
    <fieldset><legend>What</legend>{_SUBJECTS}</fieldset>
    <fieldset class="ss-formats"><legend>Format</legend>
      <label><input type="radio" name="format" value="csv" checked> CSV</label>
      <label><input type="radio" name="format" value="parquet"> Parquet</label></fieldset>
    {_COLUMN_CHOICES}
    <div class="ss-links"><a class="ss-button ss-button--accent ss-download" download>Download</a></div>
  </form>
  <p class="ss-problem" role="alert" hidden></p>
  <div class="ss-metrics-content">
    <div class="ss-metrics" role="status" aria-label="Loading">{_PLACEHOLDER * 12}</div>
  </div>
  <details class="ss-card ss-sql">
    <summary>Query events (SQL)
      <small>one SELECT over <code>events</code>, read-only, 5 seconds</small></summary>
    <textarea aria-label="SQL" dir="auto" rows="4" spellcheck="false" maxlength="20000">
SELECT tool, status, count(*) AS results
FROM events WHERE type = 'tool_result' GROUP BY ALL ORDER BY results DESC</textarea>
    <div class="ss-links"><button type="button" class="ss-button ss-run">Run</button></div>
    <p class="ss-problem" role="alert" hidden></p>
    <div class="ss-scroll" role="region" aria-label="Results" tabindex="0"></div>
  </details>
</section>
"""
_PARTS = ["analytics", "export", "sql", "demo_note"]
_ON_LOAD = f"(window.ssMounts ??= []).push(...{_PARTS}.map((name) => [name, element]));"


def build() -> None:
    """Place the tab's shell."""
    gr.HTML(_SHELL, js_on_load=_ON_LOAD, apply_default_css=False, elem_classes="ss-raw")
