"""The API tab: import an API, review its operations, approve. A shell, filled by `static/api_import/`."""

import gradio as gr

_SHELL = """
<section class="ss-api" id="ss-api" aria-label="API import">
  <div class="ss-api-side">
    <form class="ss-card ss-api-form">
      <h2>Import an API</h2>
      <p class="ss-muted">Enter the URL of an OpenAPI document, or drop its file here.
        Nothing becomes a tool until you approve it.</p>
      <label for="ss-api-url">URL</label>
      <input id="ss-api-url" type="url" placeholder="https://api.example.com/openapi.json" autocomplete="off">
      <details><summary>File, text or MCP server</summary>
        <label for="ss-api-file">File (JSON or YAML)</label><input id="ss-api-file" type="file"
          accept=".json,.yaml,.yml,application/json">
        <label for="ss-api-text">Text</label>
        <textarea id="ss-api-text" dir="auto" rows="5" spellcheck="false"></textarea>
        <label for="ss-api-mcp">MCP server</label>
        <input id="ss-api-mcp" placeholder="https://example.com/mcp, or a configured name" autocomplete="off">
        <label for="ss-api-token">Token (optional)</label>
        <input id="ss-api-token" type="password" autocomplete="off">
      </details>
      <div class="ss-actions"><button class="ss-button ss-button--accent">Import</button></div>
      <p class="ss-problem" role="alert" hidden></p>
    </form>
    <ol class="ss-api-jobs" aria-label="Imports"></ol>
  </div>
  <div class="ss-api-review" tabindex="-1" aria-live="off">
    <div class="ss-empty ss-choose"><strong>No API selected</strong>
      Import an API, or select one from the list.</div>
  </div>
</section>
"""
_ON_LOAD = "(window.ssMounts ??= []).push(['api', element]);"


def build() -> None:
    """Place the tab's shell."""
    gr.HTML(_SHELL, js_on_load=_ON_LOAD, apply_default_css=False, elem_classes="ss-raw")
