"""The demo software company."""
