"""What `openapi.json` says of requests where that is checked further in, with its own codes and words."""

from typing import Any

MOMENT: Any = {"format": "date-time"}
THREAD_ID: Any = {"pattern": "^[A-Za-z0-9_.:-]{1,128}$"}


def _one(name: str, **schema: Any) -> Any:
    return {"type": "object", "properties": {name: schema}, "required": [name]}


IMPORT_BODY: Any = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [
                    _one("url", type="string", pattern=r"\S", description="where it is"),
                    _one("spec", type=["string", "object", "array"], description="the description itself"),
                    _one("mcp", type="string", pattern=r"\S", description="an MCP server's address or name"),
                    _one("openapi", description="or the body is itself the description"),
                    _one("swagger", description="or the body is itself the description"),
                ]
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
