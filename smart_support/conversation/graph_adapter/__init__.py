"""Translates LangGraph's streams, interrupts and checkpoints to events and approvals, and back."""
