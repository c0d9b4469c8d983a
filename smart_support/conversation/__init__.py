"""A turn from message to end: who may start one, who listens, what becomes of it."""
