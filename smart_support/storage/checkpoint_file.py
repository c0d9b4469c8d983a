"""The SQLite file of LangGraph's checkpoints, which holds the newest checkpoint of each graph only.

LangGraph saves the whole state after each step and never deletes one, so that the file would grow with the
square of a conversation's length. A graph is resumed from its newest checkpoint and the writes that belong to
it. So the transaction that saves a checkpoint deletes the older ones, and a kill leaves one of them.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.sqlite import SqliteSaver

from smart_support.observability.log import get_logger
from smart_support.storage.checkpoint_serializer import CleaningSerializer

log = get_logger()
T = TypeVar("T")
# The file's `user_version` once the older checkpoints are deleted that earlier releases have kept.
_PRUNED = 1
# What was written to the file and is not safe from a power cut becomes so after this.
_SECONDS_TO_SYNC = 0.05
# A large transaction makes the write-ahead log longer. Afterwards it is cut to this length.
_MAX_WAL_BYTES = 4_000_000
# A file with so many free pages, if they are more than half of it, is written again at the start.
_MIN_FREE_BYTES = 16_000_000
# LangGraph restores a `DeltaChannel` from older checkpoints, too. The metadata then counts these.
_NEEDS_OLDER = "instr(CAST(metadata AS TEXT), '\"counters_since_delta_snapshot\"') > 0"
_IS_OLDER = "checkpoint_ns = new.checkpoint_ns AND checkpoint_id < new.checkpoint_id"
# `PARENT|NODE:TASK` is the namespace of a call of a subgraph. The call ends with the step of its parent, and
# the parent's next checkpoint comes after that. A subgraph that remembers its calls has no task in its own.
_IS_ENDED_CALL = """
    instr(substr(checkpoint_ns, length(new.checkpoint_ns) + 1), ':') > 0
    AND (new.checkpoint_ns = ''
         OR (checkpoint_ns > new.checkpoint_ns || '|' AND checkpoint_ns < new.checkpoint_ns || '}'))
"""
# It runs before the insert, so that the new checkpoint takes the pages of the old one. It belongs to the
# connection: the file stays as LangGraph makes it.
_KEEP_NEWEST = f"""
    CREATE TEMP TRIGGER keep_newest BEFORE INSERT ON main.checkpoints
    WHEN NOT {_NEEDS_OLDER.replace("metadata", "new.metadata")} BEGIN
        DELETE FROM writes WHERE thread_id = new.thread_id AND {_IS_OLDER};
        DELETE FROM writes WHERE thread_id = new.thread_id AND {_IS_ENDED_CALL};
        DELETE FROM checkpoints WHERE thread_id = new.thread_id AND {_IS_OLDER};
        DELETE FROM checkpoints WHERE thread_id = new.thread_id AND {_IS_ENDED_CALL};
    END
"""
_FIND_NEWEST = f"""
    CREATE TEMP TABLE newest AS
    SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints
    WHERE (thread_id, checkpoint_ns, checkpoint_id) IN (
        SELECT thread_id, checkpoint_ns, max(checkpoint_id) FROM checkpoints
        GROUP BY thread_id, checkpoint_ns HAVING count(*) > 1
    ) AND NOT {_NEEDS_OLDER}
"""
_DELETE_OLDER = """
    DELETE FROM {table} WHERE EXISTS (
        SELECT 1 FROM newest
        WHERE newest.thread_id = {table}.thread_id AND newest.checkpoint_ns = {table}.checkpoint_ns
            AND {table}.checkpoint_id < newest.checkpoint_id
    )
"""


class CheckpointFile(SqliteSaver):
    """The file as LangGraph uses it: of each graph of a thread, it keeps only what that can be resumed from.

    All access is in a thread of its own, one hop for each call. LangGraph's own asynchronous saver takes
    three to five hops, which cost more than the work. It also leaves a transaction open where a call is
    cancelled.

    Waiting for the disk costs more than the rest. So what the next checkpoint directly follows, and what a
    graph can do without, is written and not waited for: a kill of the process loses nothing of it, and a
    power cut before that checkpoint makes the graph repeat its step.
    """

    def __init__(self, path: Path) -> None:
        """Open the file; end with `close`."""
        connection = sqlite3.connect(path, check_same_thread=False)
        super().__init__(connection, serde=CleaningSerializer())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        # Deleted text must leave the pages of the file too.
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(f"PRAGMA journal_size_limit={_MAX_WAL_BYTES}")
        connection.execute("PRAGMA synchronous=FULL")
        self._is_synced = True
        self.setup()
        connection.execute(_KEEP_NEWEST)

    @contextlib.contextmanager
    def cursor(self, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        """As the base class, which commits also what an error has cut off."""
        with self.lock, contextlib.closing(self.conn.cursor()) as cursor:
            try:
                yield cursor
            except BaseException:
                self.conn.rollback()
                raise
            if transaction:
                self.conn.commit()
                self._is_synced = True

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As `get_tuple`."""
        return await self._in_thread(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """As `list`, read at once: there are few."""

        def read() -> Sequence[CheckpointTuple]:
            return tuple(self.list(config, filter=filter, before=before, limit=limit))

        for checkpoint in await self._in_thread(read):
            yield checkpoint

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """As `put`: the checkpoint is on disk when this returns, except for the one of the graph's input."""
        is_followed = metadata.get("source") == "input"
        return await self._saved(is_followed, self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """As `put_writes`: an interrupt, an answer to it and an error are on disk when this returns."""
        is_followed = not any(channel in WRITES_IDX_MAP for channel, _ in writes)
        await self._saved(is_followed, self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """As `delete_thread`."""
        await self._in_thread(self.delete_thread, thread_id)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """As `get_delta_channel_history`."""
        return await self._in_thread(lambda: self.get_delta_channel_history(config=config, channels=channels))

    async def compact(self) -> None:
        """Empty the write-ahead log, which still holds deleted text."""

        def cut() -> None:
            with self.cursor(transaction=False) as cursor:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        await self._in_thread(cut)

    def close(self) -> None:
        """Finish what was begun, then close the file."""
        self._thread.shutdown(wait=True)
        self.conn.close()

    async def _saved(self, is_followed: bool, save: Callable[..., T], *args: Any) -> T:
        """Save something; `is_followed`: a checkpoint comes directly after it."""
        if not is_followed:
            return await self._in_thread(save, *args)
        saved: T = await self._in_thread(self._without_sync, save, *args)
        asyncio.get_running_loop().call_later(_SECONDS_TO_SYNC, self._sync_soon)
        return saved

    def _without_sync(self, save: Callable[..., T], *args: Any) -> T:
        self.conn.execute("PRAGMA synchronous=NORMAL")
        try:
            return save(*args)
        finally:
            self.conn.execute("PRAGMA synchronous=FULL")
            self._is_synced = False

    def _sync_soon(self) -> None:
        if not self._is_synced:
            with contextlib.suppress(RuntimeError):  # closed
                self._thread.submit(self._sync)

    def _sync(self) -> None:
        if not self._is_synced:
            with self.cursor(transaction=False) as cursor:
                cursor.execute("PRAGMA wal_checkpoint")
            self._is_synced = True

    async def _in_thread(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)


def shrink(path: Path) -> None:
    """Delete older checkpoints of earlier releases, and give space back if most of the file is free.

    Call it before the file is opened. It takes time once, or after most of the conversations were erased.
    A kill at any point, or a full disk, leaves the file usable.
    """
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        try:
            _delete_older(database)
            _give_back(database, path)
        except sqlite3.Error as error:
            log.warning("checkpoints_not_shrunk", error=str(error), path=str(path))


def _delete_older(database: sqlite3.Connection) -> None:
    """Delete what the trigger would have deleted, once for each file."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version >= _PRUNED:
        return
    database.execute("BEGIN IMMEDIATE")
    if database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'writes'").fetchone():
        database.execute(_FIND_NEWEST)
        database.execute("CREATE UNIQUE INDEX temp.of_newest ON newest (thread_id, checkpoint_ns)")
        for table in ("writes", "checkpoints"):
            database.execute(_DELETE_OLDER.format(table=table))
    database.execute(f"PRAGMA user_version={_PRUNED}")
    database.execute("COMMIT")


def _give_back(database: sqlite3.Connection, path: Path) -> None:
    """Write the file again, where that gives back most of its space."""
    free, pages, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("freelist_count", "page_count", "page_size")
    )
    if free * size < _MIN_FREE_BYTES or free * 2 < pages:
        return
    log.info("checkpoints_shrink", path=str(path), bytes_given_back=free * size)
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
