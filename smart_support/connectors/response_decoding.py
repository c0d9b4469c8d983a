"""Decodes what an API or an MCP server returned into a value that can be stored as JSON."""

import codecs
import re
from email.message import Message
from typing import Any

import orjson

__all__ = ["BinaryAnswer", "decoded", "is_json_encodable", "json_or_text"]

_BINARY = re.compile(
    r"(?:image|audio|video|font)/(?!svg).*|application/(?:octet-stream|pdf|zip|gzip|x-tar|x-7z-compressed|"
    r"msword|vnd\.ms-.*|vnd\.openxmlformats-.*|x-protobuf|protobuf|msgpack|x-msgpack|cbor|wasm)"
)


class BinaryAnswer(dict[str, Any]):
    """An answer that is neither JSON nor text, described as JSON. `content`: its bytes."""

    def __init__(self, content: bytes, media_type: str) -> None:
        super().__init__(
            message=f"The answer is a file of {len(content):,} bytes ({media_type}).",
            media_type=media_type,
            bytes=len(content),
        )
        self.content = content
        self.media_type = media_type


def decoded(content: bytes, content_type: str) -> Any:
    """An HTTP answer: parsed JSON, text in its charset, or a `BinaryAnswer`.

    Args:
        content_type: the header, or an empty string.
    """
    header = Message()
    header["Content-Type"] = content_type or "application/octet-stream"
    media_type, charset = header.get_content_type(), _charset(header)
    if _BINARY.fullmatch(media_type) and content_type and not _is_json(content):
        return BinaryAnswer(content, media_type) if content else ""
    if charset != "utf-8":
        text = content.decode(charset, "replace")
        return json_or_text(text.encode("utf-8", "replace"))
    if b"\0" in content[:1000] and not content_type.lower().startswith("text/"):
        return BinaryAnswer(content, media_type)
    return json_or_text(content)


def json_or_text(content: bytes) -> Any:
    """The content parsed as JSON, or as text where it is not JSON or can't be encoded again."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.decode("utf-8", "replace")
    return value if is_json_encodable(value) else content.decode("utf-8", "replace")


def is_json_encodable(value: Any) -> bool:
    """Whether `orjson` can encode the value: it decodes deeper nesting than it encodes."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


def _charset(header: Message) -> str:
    """The charset of the header as Python names it; UTF-8 if there is none that Python knows."""
    try:
        codec = codecs.lookup(header.get_content_charset() or "utf-8")
    except LookupError:
        return "utf-8"
    return codec.name if getattr(codec, "_is_text_encoding", True) else "utf-8"


def _is_json(content: bytes) -> bool:
    # Some APIs send JSON as application/octet-stream.
    if content[:1] not in (b"{", b"["):
        return False
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return True
