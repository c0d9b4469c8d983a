"""The Analytics tab: a shell, filled by `static/analytics/`."""

import gradio as gr

_RANGES = {"24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days", "all": "All"}
_RADIOS = "".join(
    f'<label><input type="radio" name="range" value="{value}"{" checked" if value == "7d" else ""}>'
    f"<span>{text}</span></label>"
    for value, text in _RANGES.items()
)
_PLACEHOLDER = '<div class="ss-card ss-loading-card"><span></span><b></b><small></small></div>'
_SHELL = f"""
<div class="ss-demo-note" role="status" hidden><span></span>
  <button type="button" class="ss-button">Delete demo data</button></div>
<section class="ss-analytics" id="ss-analytics" aria-label="Analytics">
  <form>
    <div id="ss-analytics-bar">
      <fieldset aria-label="Range">{_RADIOS}</fieldset>
      <button class="ss-button">Refresh</button>
      <div class="ss-links"><a class="ss-button ss-export-csv" download>Export CSV</a>
        <a class="ss-button ss-export-parquet" download>Export Parquet</a></div>
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
  <p class="ss-problem" role="alert" hidden></p>
  <div class="ss-metrics-content">
    <div class="ss-metrics" aria-label="Loading">{_PLACEHOLDER * 12}</div>
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
_PARTS = ["analytics", "sql", "demo_note"]
_ON_LOAD = f"(window.ssMounts ??= []).push(...{_PARTS}.map((name) => [name, element]));"


def build() -> None:
    """Place the tab's shell."""
    gr.HTML(_SHELL, js_on_load=_ON_LOAD, apply_default_css=False, elem_classes="ss-raw")
