"""The API tab: paste an API's description, review what was found, approve. Filled by `static/api_*.js`.

What it shows and does goes through `/api/v1/openapi`: one truth at every door.
"""

import gradio as gr

_SHELL = """
<section class="ss-api" id="ss-api" aria-label="API import">
  <div class="ss-api-side">
    <form class="ss-card ss-api-form">
      <h2>Import an API</h2>
      <p class="ss-muted">Paste the address of its OpenAPI document, drop the file here, or give its text.
        Nothing becomes a tool before you have approved it.</p>
      <label for="ss-api-url">Address</label>
      <input id="ss-api-url" type="url" placeholder="https://api.example.com/openapi.json" autocomplete="off">
      <details><summary>Or a file, text, or an MCP server</summary>
        <label for="ss-api-file">File (JSON or YAML)</label><input id="ss-api-file" type="file"
          accept=".json,.yaml,.yml,application/json">
        <label for="ss-api-text">Text</label>
        <textarea id="ss-api-text" rows="5" spellcheck="false"></textarea>
        <label for="ss-api-mcp">MCP server</label>
        <input id="ss-api-mcp" placeholder="https://example.com/mcp, or its declared name" autocomplete="off">
        <label for="ss-api-token">Its token, if it asks for one</label>
        <input id="ss-api-token" type="password" autocomplete="off">
      </details>
      <div class="ss-actions"><button class="ss-button ss-button--accent">Import</button></div>
      <p class="ss-problem" role="alert" hidden></p>
    </form>
    <ol class="ss-api-jobs" aria-label="Imports"></ol>
  </div>
  <div class="ss-api-review" tabindex="-1" aria-live="off">
    <div class="ss-empty ss-choose"><strong>No API is open</strong>
      Import one, or choose one of those on the side.</div>
  </div>
</section>
"""
_ON_LOAD = "(window.ssMounts ??= []).push(['api', element]);"


def build() -> None:
    """Place the tab's shell."""
    gr.HTML(_SHELL, js_on_load=_ON_LOAD, apply_default_css=False, elem_classes="ss-raw")
