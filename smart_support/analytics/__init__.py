"""Figures over the event log, recorded conversations, and exports. Reads only."""
