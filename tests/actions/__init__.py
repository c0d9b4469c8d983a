"""Actions of API clients."""
