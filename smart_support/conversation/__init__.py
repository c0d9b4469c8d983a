"""Conversations: turns, their events and listeners, sessions, recovery and erasure."""
