"""Builds the JSON Schema of a tool's arguments."""
