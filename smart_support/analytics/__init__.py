"""Metrics over the event log, replay and exports. Read-only."""
