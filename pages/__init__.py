"""The console: one Gradio page. `console` builds and mounts it; each tab is a module."""
