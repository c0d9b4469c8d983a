"""Tests, in the order of the tree they mirror; `e2e`, `browser` and `faults` speak to the real app."""
