"""Agents: who they are, which model speaks for them, and the graph they run in."""
