"""The side panel of approvals: a static shell, filled over `/ws` by `static/approvals.js`.

Gradio updates lists by position, so that a reason typed into one card could end up in another; nodes keyed
by approval id can't.
"""

import gradio as gr

_SHELL = """
<section class="ss-panel" id="ss-approvals" aria-label="Approvals">
  <h2 tabindex="-1">Pending approvals <span class="ss-chip ss-chip--amber ss-count" hidden>0</span></h2>
  <p class="ss-live" aria-live="polite"></p>
  <div class="ss-queue"></div>
  <div class="ss-loading ss-empty">Looking for approvals…</div>
  <div class="ss-empty ss-nothing" hidden><strong>Nothing waits for you</strong>
    When an agent wants to change something, it stops here until you decide.</div>
  <div class="ss-recent" hidden><h3>Recently decided</h3><ul></ul></div>
</section>
"""
_ON_LOAD = "(window.ssMounts ??= []).push(['approvals', element]);"


def build() -> None:
    """Place the panel."""
    gr.HTML(_SHELL, js_on_load=_ON_LOAD, apply_default_css=False, elem_classes="ss-raw")
