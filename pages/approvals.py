"""The approvals panel: a shell, filled over `/ws` by `static/approvals/`.

Gradio updates lists by position, so a reason typed into one card could move to another. The scripts keep one
element for each approval id instead.
"""

import gradio as gr

_SHELL = """
<section class="ss-panel" id="ss-approvals" aria-label="Approvals">
  <h2 tabindex="-1">Pending approvals <span class="ss-chip ss-chip--amber ss-count" hidden>0</span></h2>
  <p class="ss-live" aria-live="polite"></p>
  <div class="ss-queue"></div>
  <div class="ss-loading ss-empty">Loading approvals…</div>
  <div class="ss-empty ss-nothing" hidden><strong>No pending approvals</strong>
    Agents wait here for your approval before they change anything.</div>
  <div class="ss-recent" hidden><h3>Recently decided</h3><ul></ul></div>
</section>
"""
_ON_LOAD = "(window.ssMounts ??= []).push(['approvals', element]);"


def build() -> None:
    """Place the panel."""
    gr.HTML(_SHELL, js_on_load=_ON_LOAD, apply_default_css=False, elem_classes="ss-raw")
