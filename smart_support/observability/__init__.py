"""Logs, traces and metrics, without secrets."""
