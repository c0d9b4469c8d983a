"""The tab "Approvals": all pending approvals with details, filled by `static/approvals/list.js`."""

import gradio as gr

_SHELL = """
<section class="ss-panel ss-desk" id="ss-approval-list" aria-label="Approvals">
  <div class="ss-desk-list">
    <header><h2 tabindex="-1"><span class="ss-count">0</span> pending</h2>
      <button type="button" class="ss-chip ss-chip--button ss-decided-toggle"
        aria-pressed="false">Decided</button>
    </header>
    <p class="ss-live" aria-live="polite"></p>
    <div class="ss-rows" tabindex="-1"><ul></ul></div>
    <div class="ss-empty ss-loading">Loading approvals…</div>
  </div>
  <div class="ss-desk-details" tabindex="-1"></div>
  <div class="ss-desk-decided" hidden></div>
</section>
"""
_ON_LOAD = "(window.ssMounts ??= []).push(['approval_list', element]);"


def build() -> None:
    """Place the tab's content."""
    gr.HTML(_SHELL, js_on_load=_ON_LOAD, apply_default_css=False, elem_classes="ss-raw")
