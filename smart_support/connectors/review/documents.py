"""Caches the parsed descriptions of import jobs."""

import asyncio
import zlib
from collections.abc import Collection, Iterator
from typing import Any

import orjson

from smart_support.connectors.mcp_document import mcp_document
from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.parse import parse
from smart_support.connectors.review.import_store import ImportJob, ImportStore
from smart_support.errors import NotFound

__all__ = ["DocumentCache", "packed", "parse_description"]


# Of imports that nobody has approved yet.
MAX_IN_REVIEW = 4
_LEVELS_IN_PIECES = 3  # `components`, `schemas` and a name


class DocumentCache:
    """Keeps the parsed documents of live imports in memory, and of those that were reviewed last.

    Any other is parsed again from the store when it is needed.
    """

    def __init__(self, store: ImportStore) -> None:
        self._store = store
        self._documents: dict[str, Document] = {}
        self._live: frozenset[str] = frozenset()

    def put(self, job_id: str, document: Document) -> None:
        """Keep a document that was just parsed."""
        self._documents[job_id] = document
        in_review = [known for known in self._documents if known not in self._live]
        for oldest in in_review[:-MAX_IN_REVIEW]:
            del self._documents[oldest]

    def keep_only(self, live: Collection[str], in_review: Collection[str]) -> None:
        """Give back the memory of all other imports."""
        self._live = frozenset(live)
        for job_id in self._documents.keys() - self._live - frozenset(in_review):
            del self._documents[job_id]

    async def get(self, job: ImportJob) -> Document:
        """The job's document.

        Raises:
            NotFound: the job is still loading, or loading failed.
        """
        if known := self._documents.get(job.job_id):
            return known
        stored = await self._store.description(job.job_id)
        description = await asyncio.to_thread(_unpacked, stored)
        if description is None:
            raise NotFound(f"import job {job.job_id}: {job.error or 'still loading; try again soon'}")
        document = await asyncio.to_thread(parse_description, description)
        if job.status in ("review", "live"):
            self.put(job.job_id, document)
        return document


def parse_description(description: dict[str, Any]) -> Document:
    """Parse an OpenAPI description, or the tool list of an MCP server."""
    return mcp_document(description) if "mcp" in description else parse(description)


def packed(description: dict[str, Any]) -> bytes:
    """The description as it is stored: JSON, compressed by zlib.

    A large one has megabytes, and every decision waits while they are written. It is encoded in pieces,
    because encoding it at once stops the app for a tenth of a second.
    """
    compressor = zlib.compressobj(1)
    compressed = [compressor.compress(piece) for piece in _encoded(description, _LEVELS_IN_PIECES)]
    return b"".join([*compressed, compressor.flush()])


def _encoded(node: Any, levels: int) -> Iterator[bytes]:
    """The JSON text of a node in pieces: each part of the first `levels` levels of objects is one."""
    if not isinstance(node, dict) or not node or not levels:
        yield orjson.dumps(node)
        return
    for place, (key, part) in enumerate(node.items()):
        yield (b"," if place else b"{") + orjson.dumps(key) + b":"
        yield from _encoded(part, levels - 1)
    yield b"}"


def _unpacked(stored: bytes) -> Any:
    # Descriptions of earlier versions are not compressed. JSON never starts with this byte.
    return orjson.loads(zlib.decompress(stored) if stored.startswith(b"\x78") else stored)
