"""The WebSocket and the REST API: translate between wire formats and services."""
