"""The agents: their file, their models and their graph."""
