"""The Replay tab: find a conversation, step through what happened. A shell, filled by `static/replay.js`.

What it shows is what `GET /api/v1/conversations` and `/replay/{thread_id}` say: one truth at every door.
"""

import gradio as gr

_SHELL = """
<div class="ss-demo-note" role="status" hidden><span></span>
  <button type="button" class="ss-button">Clear it</button></div>
<section class="ss-replay" id="ss-replay" aria-label="Replay">
  <div class="ss-found">
    <form class="ss-find" role="search">
      <input type="search" name="q" placeholder="Search words, customer or thread" aria-label="Search"
        maxlength="200" autocomplete="off">
      <select name="status" aria-label="Status"><option value="">Any status</option><option>active</option>
        <option>waiting</option><option>ended</option></select>
      <select name="outcome" aria-label="Outcome"><option value="">Any outcome</option>
        <option value="resolved">resolved</option>
        <option value="resolved_with_approval">resolved with approval</option>
        <option value="escalated">escalated</option><option value="rejected">rejected</option>
        <option value="abandoned">abandoned</option></select>
      <select name="agent" aria-label="Agent"><option value="">Any agent</option></select>
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
      <button type="button" class="ss-button ss-up" aria-label="To the list of conversations">↑ List</button>
      <span class="ss-place" role="status"></span>
      <button type="button" class="ss-button ss-play" aria-pressed="false">▶ Play</button>
    </div>
    <div class="ss-takeaway" hidden>
      <form class="ss-within" role="search"><input type="search" name="within" placeholder="Find in it"
        aria-label="Find in this conversation" maxlength="200" autocomplete="off" enterkeyhint="next">
        <span class="ss-muted ss-within-told" role="status"></span></form>
      <div class="ss-links">
        <button type="button" class="ss-button ss-share">Copy link</button>
        <a class="ss-button ss-json" target="_blank" rel="noopener">Raw JSON</a>
        <a class="ss-button ss-test" download>Save as test</a>
      </div>
    </div>
    <p class="ss-muted ss-thread"></p>
    <div class="ss-chips ss-jumps" aria-label="Where to look"></div>
    <p class="ss-problem" role="alert" hidden></p>
    <div class="ss-timeline"></div>
    <div class="ss-empty ss-choose"><strong>Choose a conversation</strong>
      Every message, tool call and decision of it is here, in order.</div>
  </div>
</section>
"""
_PARTS = ["replay", "replay_list", "replay_tools", "replay_jumps", "demo_note"]
_ON_LOAD = f"(window.ssMounts ??= []).push(...{_PARTS}.map((name) => [name, element]));"


def build() -> None:
    """Place the tab's shell."""
    gr.HTML(_SHELL, js_on_load=_ON_LOAD, apply_default_css=False, elem_classes="ss-raw")
