"""Tool calls that API clients request themselves, over REST and MCP, through the same gate as our agents.

A client requests an action. A read is done at once. A write waits for its approval, and runs whether the
client still listens or not. A client that repeats its call joins the action that there is.
"""
