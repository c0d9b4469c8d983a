"""Clients that nobody here wrote, each in an environment of its own: `make foreign-clients` makes those."""
