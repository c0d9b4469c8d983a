"""Encodes multipart bodies (RFC 7578, RFC 2046)."""

import mimetypes
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Part", "encode_multipart", "file_name", "media_type_of"]

# How browsers escape a field's name in quotes (WHATWG HTML, "multipart/form-data encoding algorithm").
_QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})

# How files of these types begin.
_BEGINNINGS = (
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One field. Without a `media_type` it is text/plain (RFC 7578, 4.4). Files have a `filename`."""

    name: str
    content: bytes
    media_type: str = ""
    filename: str = ""


def encode_multipart(parts: Sequence[Part]) -> tuple[str, bytes]:
    """The boundary, which is random so that no value contains it, and the body."""
    boundary = secrets.token_hex(24)
    delimiter = f"--{boundary}\r\n".encode()
    body = b"".join(delimiter + _head(part).encode() + part.content + b"\r\n" for part in parts)
    return boundary, body + f"--{boundary}--\r\n".encode()


def _head(part: Part) -> str:
    lines = [f'Content-Disposition: form-data; name="{part.name.translate(_QUOTED)}"']
    if part.filename:
        lines[0] += f'; filename="{part.filename.translate(_QUOTED)}"'
    if part.media_type:
        lines.append(f"Content-Type: {part.media_type}")
    return "\r\n".join(lines) + "\r\n\r\n"


def media_type_of(content: bytes) -> str:
    """The media type that the first bytes of a file show; empty if it is none of the common ones."""
    return next((kind for beginning, kind in _BEGINNINGS if content.startswith(beginning)), "")


def file_name(name: str, media_type: str) -> str:
    """A file name for a field, with the extension of its type: some servers accept files only by that."""
    kind = media_type.partition(";")[0].strip().lower()
    extension = mimetypes.guess_extension(kind, strict=False) or ""
    return name if extension and name.lower().endswith(extension) else f"{name}{extension}"
