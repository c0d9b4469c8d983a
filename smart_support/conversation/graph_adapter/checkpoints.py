"""Deletes the checkpoints that this system keeps."""

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


class Checkpoints:
    """The checkpoints of all threads."""

    def __init__(self, saver: BaseCheckpointSaver[Any]) -> None:
        self._saver = saver

    async def delete_thread(self, thread_id: str) -> None:
        """Delete all checkpoints of a thread."""
        await self._saver.adelete_thread(thread_id)

    async def compact(self) -> None:
        """Remove deleted checkpoints from the files, too."""
        if isinstance(self._saver, AsyncSqliteSaver):
            # SQLite overwrites deleted content in its pages at once. The write-ahead log still holds it.
            await self._saver.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
