"""ASGI middleware of every HTTP request and WebSocket."""
