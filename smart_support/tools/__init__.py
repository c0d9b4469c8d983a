"""Tools: what an agent can call. Each is declared READ or WRITE where it is defined."""
