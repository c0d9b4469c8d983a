"""The tab "Callers": API clients, and switching one off. A shell, filled by `static/callers/callers.js`."""

import gradio as gr

_SHELL = """
<section class="ss-callers" id="ss-callers" aria-label="Callers">
  <div><h2>Callers</h2>
    <p class="ss-muted">API clients that request tool calls themselves. Counts are of the last 30 days.
      Keys are in the settings; tools and limits are in the agents file.</p></div>
  <p class="ss-problem" role="alert" hidden></p>
  <p class="ss-live" aria-live="polite"></p>
  <ul class="ss-caller-list"></ul>
  <div class="ss-empty">Loading callers…</div>
</section>
"""
_ON_LOAD = "(window.ssMounts ??= []).push(['callers', element]);"


def build() -> None:
    """Place the tab's content."""
    gr.HTML(_SHELL, js_on_load=_ON_LOAD, apply_default_css=False, elem_classes="ss-raw")
