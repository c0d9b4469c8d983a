"""The Replay tab: find a conversation and step through it. A shell, filled by `static/replay/`."""

import gradio as gr

_SHELL = """
<div class="ss-demo-note" role="status" hidden><span></span>
  <button type="button" class="ss-button">Delete demo data</button></div>
<section class="ss-replay" id="ss-replay" aria-label="Replay">
  <div class="ss-list">
    <form class="ss-find" role="search">
      <input type="search" name="q" placeholder="Search text, customer or thread" aria-label="Search"
        dir="auto" maxlength="200" autocomplete="off">
      <select name="status" aria-label="Status"><option value="">All statuses</option>
        <option value="active">Active</option><option value="waiting">Waiting</option>
        <option value="ended">Ended</option></select>
      <select name="outcome" aria-label="Outcome"><option value="">All outcomes</option>
        <option value="resolved">Resolved</option>
        <option value="resolved_with_approval">Resolved with approval</option>
        <option value="escalated">Escalated</option><option value="rejected">Rejected</option>
        <option value="abandoned">Abandoned</option></select>
      <select name="agent" aria-label="Agent"><option value="">All agents</option></select>
    </form>
    <div class="ss-chips ss-narrowed" hidden></div>
    <p class="ss-problem" role="alert" hidden></p>
    <ol class="ss-conversations"></ol>
    <div class="ss-empty ss-none" hidden></div>
    <button type="button" class="ss-button ss-more" hidden>Load more</button>
  </div>
  <div class="ss-steps" tabindex="-1">
    <div class="ss-card ss-stepper" hidden>
      <button type="button" class="ss-button" data-to="first" aria-label="First step">⏮</button>
      <button type="button" class="ss-button" data-to="back" aria-label="Previous step">‹</button>
      <button type="button" class="ss-button" data-to="on" aria-label="Next step">›</button>
      <button type="button" class="ss-button" data-to="last" aria-label="Last step">⏭</button>
      <input type="range" min="1" value="1" aria-label="Step">
      <button type="button" class="ss-button ss-up"
        aria-label="Back to the list of conversations">↑ List</button>
      <span class="ss-place" role="status"></span>
      <button type="button" class="ss-button ss-play" aria-pressed="false">▶ Play</button>
    </div>
    <div class="ss-takeaway" hidden>
      <form class="ss-within" role="search"><input type="search" name="within" dir="auto"
        placeholder="Search this conversation" aria-label="Search this conversation" maxlength="200"
        autocomplete="off" enterkeyhint="next">
        <span class="ss-muted ss-search-status" role="status"></span></form>
      <div class="ss-links">
        <button type="button" class="ss-button ss-share">Copy link</button>
        <a class="ss-button ss-live-conversation">Open conversation</a>
        <a class="ss-button ss-json" target="_blank" rel="noopener">Raw JSON</a>
        <a class="ss-button ss-test" download>Save as test</a>
      </div>
    </div>
    <p class="ss-muted ss-thread"></p>
    <div class="ss-chips ss-jumps" aria-label="Jump to"></div>
    <p class="ss-problem" role="alert" hidden></p>
    <div class="ss-timeline"></div>
    <div class="ss-empty ss-choose"><strong>No conversation selected</strong>
      Select one to see its messages, tool calls and decisions in order.</div>
  </div>
</section>
"""
_PARTS = ["replay", "replay_list", "replay_tools", "replay_jumps", "demo_note"]
_ON_LOAD = f"(window.ssMounts ??= []).push(...{_PARTS}.map((name) => [name, element]));"


def build() -> None:
    """Place the tab's shell."""
    gr.HTML(_SHELL, js_on_load=_ON_LOAD, apply_default_css=False, elem_classes="ss-raw")
