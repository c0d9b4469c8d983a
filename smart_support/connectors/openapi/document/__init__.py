"""Reads and parses an API description."""
