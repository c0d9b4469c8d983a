"""What the MCP server says about itself, on `/mcp` and as a command."""

META_PREFIX = "smart-support/"
INSTRUCTIONS = (
    "These tools act on a company's own systems. A tool that changes something is carried out once a "
    "colleague has approved exactly this call: until then its answer is a pending action. Ask get_action "
    "with its action_id, or call the tool again with the same arguments, which joins the action and never "
    "does it twice."
)
