"""Gradio's scripts, styles and fonts, each read and compressed once.

A page of the console loads 60 of them. For each request Gradio goes through all of its routes, reads the file
and compresses it, and browsers may keep none without asking again.
"""

import functools
import gzip
import hashlib
import mimetypes
import re
from collections.abc import Callable
from pathlib import Path

import brotli
from gradio.route_utils import BUILD_PATH_LIB, STATIC_PATH_LIB
from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Match, Mount
from starlette.types import Receive, Scope, Send

_FOLDERS = {"assets": Path(BUILD_PATH_LIB), "static": Path(STATIC_PATH_LIB)}
_PLACE = re.compile(r"/(assets|static)/")
# No part of a path begins with a dot, so none leads out of its folder.
_PATH = re.compile(r"/(assets|static)/((?:[\w-][\w.-]*/)*[\w-][\w.-]*)", re.ASCII)
# Of these, the name changes with the content.
_WITH_HASH = re.compile(r".*/assets/[\w.-]*-[\w-]{8,}\.\w+", re.ASCII)
# Not as the system has it, whose files may be wrong, and which libraries change.
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
# These are compressed themselves.
_NOT_COMPRESSED = re.compile(r"font/woff|image/(?!svg)")
MAX_KEPT_BYTES = 500_000
# The first that a browser takes. From 7 on, Brotli takes twice the time for one percent less.
_ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "br": functools.partial(brotli.compress, quality=6),
    "gzip": functools.partial(gzip.compress, compresslevel=6, mtime=0),
}


class GradioFiles(Mount):
    """Gradio's app, as the first of all routes, for its files alone."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the base class, for a `GET` of a file."""
        is_file = scope["type"] == "http" and scope["method"] == "GET" and _PLACE.match(get_route_path(scope))
        return super().matches(scope) if is_file else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in the place of Gradio."""
        file = _find(get_route_path(scope))
        response = (
            _response(file, Headers(scope=scope)) if file else JSONResponse({"detail": "Not Found"}, 404)
        )
        await response(scope, receive, send)


def _response(file: Path, request: Headers) -> Response:
    if file.stat().st_size > MAX_KEPT_BYTES:
        return FileResponse(file)
    media_type = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    lifetime = "max-age=31536000, immutable" if _WITH_HASH.fullmatch(file.as_posix()) else "no-cache"
    headers = {"ETag": _etag(file), "Cache-Control": f"private, {lifetime}", "Vary": "Accept-Encoding"}
    if request.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    accepted = request.get("accept-encoding", "")
    encoding = next((one for one in _ENCODINGS if one in accepted), "")
    if not encoding or _NOT_COMPRESSED.match(media_type):
        return Response(_content(file, ""), headers=headers, media_type=media_type)
    headers["Content-Encoding"] = encoding
    return Response(_content(file, encoding), headers=headers, media_type=media_type)


def _find(path: str) -> Path | None:
    matched = _PATH.fullmatch(path) if len(path) <= 200 else None
    return _file(matched[1], matched[2]) if matched else None


# The files change with the installation only.
@functools.lru_cache(1000)
def _file(folder: str, name: str) -> Path | None:
    file = _FOLDERS[folder] / name
    return file if file.is_file() else None


@functools.lru_cache(500)
def _content(file: Path, encoding: str) -> bytes:
    content = file.read_bytes()
    return _ENCODINGS[encoding](content) if encoding else content


@functools.lru_cache(1000)
def _etag(file: Path) -> str:
    return f'"{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"'
