"""The SQLite file of LangGraph's checkpoints, which holds the newest checkpoint of each graph only.

LangGraph saves the whole state after each step and never deletes one, so that the file would grow with the
square of a conversation's length. A graph is resumed from its newest checkpoint and the writes that belong to
it. So the transaction that saves a checkpoint deletes the older ones, and a kill leaves one of them.
"""

import contextlib
import sqlite3
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from smart_support.observability.log import get_logger
from smart_support.storage.checkpoint_serializer import CleaningSerializer

log = get_logger()
# The file's `user_version` once the older checkpoints are deleted that earlier releases have kept.
_PRUNED = 1
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


async def open_saver(connection: aiosqlite.Connection) -> AsyncSqliteSaver:
    """A saver that keeps, of each graph of a thread, only what it can be resumed from."""
    # Deleted text must leave the pages of the file too.
    await connection.execute("PRAGMA secure_delete=ON")
    await connection.execute(f"PRAGMA journal_size_limit={_MAX_WAL_BYTES}")
    saver = AsyncSqliteSaver(connection, serde=CleaningSerializer())
    await saver.setup()
    await connection.execute(_KEEP_NEWEST)
    return saver


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
