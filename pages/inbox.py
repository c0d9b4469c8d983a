"""The Inbox tab: conversations, the open one, and its customer. A shell, filled by `static/inbox/`."""

import gradio as gr

_SHELL = """
<section class="ss-inbox" id="ss-inbox" aria-label="Inbox" data-view="list">
  <div class="ss-inbox-side">
    <form class="ss-inbox-search" role="search">
      <input type="search" aria-label="Search conversations" placeholder="Search conversations"
        maxlength="200" autocomplete="off"><kbd aria-hidden="true">/</kbd></form>
    <div class="ss-inbox-filters" role="group" aria-label="Show"></div>
    <p class="ss-problem" role="alert" hidden></p>
    <div class="ss-inbox-scroll">
      <ol class="ss-inbox-items" aria-label="Conversations"></ol>
      <p class="ss-inbox-none ss-muted" role="status">Loading conversations…</p>
      <button type="button" class="ss-button ss-inbox-more" hidden>Show more conversations</button>
    </div>
  </div>
  <div class="ss-inbox-thread" role="region" aria-label="Conversation"></div>
  <aside class="ss-inbox-customer" aria-label="Customer"></aside>
</section>
"""
_ON_LOAD = "(window.ssMounts ??= []).push(['inbox', element]);"


def build() -> None:
    """Place the tab's shell."""
    gr.HTML(_SHELL, js_on_load=_ON_LOAD, apply_default_css=False, elem_classes="ss-raw")
