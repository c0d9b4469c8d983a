"""Deletes the checkpoints that this system keeps."""

import asyncio
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from smart_support.concurrency import end_tasks
from smart_support.observability.log import get_logger
from smart_support.storage.checkpoint_file import CheckpointFile

log = get_logger()


class Checkpoints:
    """The checkpoints of all threads."""

    def __init__(self, saver: BaseCheckpointSaver[Any]) -> None:
        self._saver = saver
        self._due: set[str] = set()
        self._pruning: asyncio.Task[None] | None = None

    async def delete_thread(self, thread_id: str) -> None:
        """Delete all checkpoints of a thread."""
        await self._saver.adelete_thread(thread_id)

    def prune_soon(self, thread_id: str) -> None:
        """Delete the checkpoints of a thread that nothing can resume any more, without waiting for that.

        Another turn may run on the thread meanwhile. A file does this by itself with each new checkpoint.
        """
        if isinstance(self._saver, CheckpointFile):
            return
        self._due.add(thread_id)
        if self._pruning is None or self._pruning.done():
            self._pruning = asyncio.create_task(self._prune_due())

    async def compact(self) -> None:
        """Remove deleted checkpoints from the files, too."""
        if isinstance(self._saver, CheckpointFile):
            await self._saver.compact()

    async def close(self) -> None:
        """Stop pruning. What is left goes after the next turn of its thread."""
        if self._pruning:
            await end_tasks(self._pruning)

    async def prune(self, thread_id: str) -> None:
        """As `prune_soon`, and wait for it. What fails is done after the next turn of the thread."""
        saver: Any = self._saver
        # With a lock of its own, so that turns don't wait for it.
        pruner = type(saver)(saver.conn, serde=saver.serde)
        try:
            await pruner.aprune([thread_id])
        except NotImplementedError:
            # The graph has a `DeltaChannel`, which LangGraph restores from older checkpoints.
            log.debug("checkpoints_kept", thread_id=thread_id)
        except Exception as error:
            log.warning("checkpoints_not_pruned", thread_id=thread_id, error=repr(error))

    async def _prune_due(self) -> None:
        while self._due:
            await self.prune(self._due.pop())
