"""The tools of each API client as an MCP server, over streamable HTTP and over standard input and output."""
