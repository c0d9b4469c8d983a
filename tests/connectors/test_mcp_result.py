"""Everything that an MCP tool returns reaches the model, or a line says what came."""

from typing import Any

from mcp.types import CallToolResult

from smart_support.connectors.mcp_result import readable_result

PICTURE = {"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"}


def _read(*content: dict[str, Any], structured: Any = None) -> Any:
    return readable_result(
        CallToolResult.model_validate({"content": content, "structuredContent": structured}, by_name=False)
    )


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def test_each_kind_of_content_is_read_or_named() -> None:
    document = {"uri": "file:///terms.txt", "text": "Returns within 30 days."}
    archive = {"uri": "file:///a.zip", "mimeType": "application/zip", "blob": "aGVsbG8="}
    link = {
        "type": "resource_link",
        "name": "terms",
        "uri": "https://x.example/t",
        "description": "All terms",
    }
    sound = {"type": "audio", "data": "aGk=", "mimeType": "audio/wav"}
    result = _read(
        _text("Here:"),
        PICTURE,
        sound,
        {"type": "resource", "resource": document},
        {"type": "resource", "resource": archive},
        link,
    )
    assert result.splitlines() == [
        "Here:",
        "(image, image/png, 5 bytes; it can't be shown here)",
        "(audio, audio/wav, 2 bytes; it can't be shown here)",
        "file:///terms.txt:",
        "Returns within 30 days.",
        "(file file:///a.zip, application/zip, 5 bytes; it can't be shown here)",
        "terms <https://x.example/t>: All terms",
    ]


def test_structured_content_is_the_result_and_its_text_is_not_repeated() -> None:
    order = {"id": 4, "lines": ["a", "b"]}
    assert _read(_text('{"lines": ["a", "b"], "id": 4}'), structured=order) == order
    assert _read(_text("a"), _text("b"), structured={"result": ["a", "b"]}) == {"result": ["a", "b"]}
    assert _read(_text("42"), structured={"result": "42"}) == {"result": "42"}


def test_what_comes_beside_structured_content_is_kept() -> None:
    result = _read(_text("Only until Friday."), PICTURE, structured={"price": 3})
    assert result["result"] == {"price": 3}
    assert result["content"].splitlines()[0] == "Only until Friday."
    assert "image/png" in result["content"]


def test_a_tool_that_returns_nothing_is_done() -> None:
    assert _read() == {"message": "Done."}
    assert _read(_text('{"id": 1}')) == {"id": 1}
