"""Builds the app and serves it."""
