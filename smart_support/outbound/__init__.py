"""Guarded HTTP requests to other systems."""
