"""Connectors: an API description or an MCP server becomes reviewed tools."""
