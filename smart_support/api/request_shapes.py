"""What `openapi.json` says of requests where that is checked further in, with its own codes and words."""

from typing import Any

MOMENT: Any = {"format": "date-time"}
THREAD_ID: Any = {"pattern": "^[A-Za-z0-9_.:-]{1,128}$"}
IMPORT_BODY: Any = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "url": {
                        "type": ["string", "null"],
                        "format": "uri",
                        "description": "where the description is",
                    },
                    "spec": {"description": "the description itself, as an object or as text"},
                    "mcp": {"type": ["string", "null"], "description": "an MCP server's address or name"},
                    "token": {"type": "string", "description": "the MCP server's bearer token, if it asks"},
                },
                "minProperties": 1,
            }
        },
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            }
        },
    },
}


def text(most: int) -> Any:
    """Text that is not only white space."""
    return {"minLength": 1, "maxLength": most, "pattern": r"\S"}
