"""Caches the parsed descriptions of import jobs."""

import asyncio
import zlib
from typing import Any

import orjson

from smart_support.connectors.mcp_document import mcp_document
from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.parse import parse
from smart_support.connectors.review.import_store import ImportJob, ImportStore
from smart_support.errors import NotFound

__all__ = ["DocumentCache", "packed", "parse_description"]


class DocumentCache:
    """Keeps parsed documents in memory; parses them again from the store after a restart."""

    def __init__(self, store: ImportStore) -> None:
        self._store = store
        self._documents: dict[str, Document] = {}

    def put(self, job_id: str, document: Document) -> None:
        """Keep a document that was just parsed."""
        self._documents[job_id] = document

    async def get(self, job: ImportJob) -> Document:
        """The job's document.

        Raises:
            NotFound: the job is still loading, or loading failed.
        """
        if job.job_id not in self._documents:
            stored = await self._store.description(job.job_id)
            description = await asyncio.to_thread(_unpacked, stored)
            if description is None:
                raise NotFound(f"import job {job.job_id}: {job.error or 'still loading; try again soon'}")
            self._documents[job.job_id] = await asyncio.to_thread(parse_description, description)
        return self._documents[job.job_id]


def parse_description(description: dict[str, Any]) -> Document:
    """Parse an OpenAPI description, or the tool list of an MCP server."""
    return mcp_document(description) if "mcp" in description else parse(description)


def packed(description: dict[str, Any]) -> bytes:
    """The description as it is stored: JSON, compressed by zlib.

    A large one has megabytes, and every decision waits while they are written.
    """
    return zlib.compress(orjson.dumps(description), 1)


def _unpacked(stored: bytes) -> Any:
    # Descriptions of earlier versions are not compressed. JSON never starts with this byte.
    return orjson.loads(zlib.decompress(stored) if stored.startswith(b"\x78") else stored)
