"""The gate: authorises and executes tool calls."""
