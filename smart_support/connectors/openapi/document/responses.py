"""What an operation returns, by its description."""

import re
from typing import Any

from smart_support.connectors.openapi.document.nodes import mapping
from smart_support.tools.result_schema import shape_of, target_of_reference

__all__ = ["result_schema"]

_SUCCESS = ("200", "201", "202", "203", "2XX")
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json\b.*", re.IGNORECASE)


def result_schema(operation: dict[str, Any], document: dict[str, Any]) -> dict[str, Any] | None:
    """The shape of the JSON of an operation's first successful response, as in `Tool.output_schema`."""
    responses = mapping(operation.get("responses"))
    name = next((name for name in _SUCCESS if name in responses), None)
    response = mapping(target_of_reference(responses.get(name), document)) if name else {}
    if "schema" in response:  # Swagger 2.0
        return shape_of(response["schema"], document)
    for media_type, content in mapping(response.get("content")).items():
        if _JSON.fullmatch(media_type):
            return shape_of(mapping(content).get("schema"), document)
    return None
