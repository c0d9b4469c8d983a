"""Graphs that somebody else wrote, run through every interface."""
