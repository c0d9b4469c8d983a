"""The gate: what waits for a human, what was decided, and what was done about it."""
