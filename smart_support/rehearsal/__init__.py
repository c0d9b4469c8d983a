"""Recorded conversations run again on a copy of the system."""
