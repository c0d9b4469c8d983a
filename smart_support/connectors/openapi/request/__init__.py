"""Builds and sends the request of an operation."""
