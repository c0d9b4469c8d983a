"""Runs an admin's own SQL: one SELECT over the table `events`, and nothing else.

It runs in a separate process (ad_hoc_sql_process.py) on a copy of the event file. So a query can't delay a
turn, read a file or a secret, or use the app's memory, and the process is killed when its time is over.
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from smart_support.errors import InvalidRequest, StorageFailed
from smart_support.observability.log import get_logger
from smart_support.storage.events.base import EventStore

log = get_logger()
SECONDS = 5.0
MAX_ROWS = 10_000
MAX_CHARS = 5_000_000  # of all rows together
MAX_SQL_CHARS = 20_000
MEMORY_BYTES = 1_000_000_000
# Depends on the disk. Meanwhile new events stay in the journal.
SECONDS_TO_COPY = 20.0
SECONDS_TO_START = 20.0
RESERVED_BYTES = 100_000_000
PROGRAM = Path(__file__).with_name("ad_hoc_sql_process.py")


@dataclass(frozen=True, slots=True)
class Table:
    """A result. `truncated`: there are more rows."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


class AdHocSql:
    """Runs SQL on a copy of the event log."""

    def __init__(
        self,
        event_log: EventStore,
        *,
        seconds: float = SECONDS,
        max_rows: int = MAX_ROWS,
        max_chars: int = MAX_CHARS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        """The limits of one query: its time once the copy is open, its result and its memory."""
        self._log = event_log
        self._seconds = seconds
        self._limits = {"max_rows": max_rows, "max_chars": max_chars, "memory_bytes": memory_bytes}
        # One query at a time: two could use all cores, and there is only one copy.
        self._running = asyncio.Lock()

    async def run(self, sql: str) -> Table:
        """The rows of one SELECT over `events`.

        Raises:
            InvalidRequest: it is not such a SELECT, is invalid, or exceeds a limit.
            StorageFailed: the event file can't be copied.
        """
        if not sql.strip() or len(sql) > MAX_SQL_CHARS:
            raise InvalidRequest(f"sql: enter one SELECT over events of at most {MAX_SQL_CHARS:,} characters")
        try:
            sql.encode()
        except UnicodeEncodeError:
            raise InvalidRequest("sql: it contains a lone surrogate; remove it") from None
        async with self._running, _private_folder(self._log.question_folder) as folder:
            result = await self._execute(sql, folder)
        if "rows" in result:
            return Table(result["columns"], result["rows"], result["truncated"])
        if result["error"] is None:
            megabytes = self._limits["memory_bytes"] / 1_000_000
            raise InvalidRequest(
                f"The query took more than {self._seconds:g} s or {megabytes:,.0f} MB of memory and was "
                "stopped; restrict the time with a condition on happened_at."
            )
        raise InvalidRequest(f"sql: {result['error']}")

    async def _execute(self, sql: str, folder: Path) -> dict[str, Any]:
        """The columns and rows, or an `error`, which is None if the process was stopped."""
        async with _process(folder) as process:
            assert process.stdin
            await _expect(process, b"ready", SECONDS_TO_START)
            async with self._log.pause_writes() as source:
                _check_disk_space(source, folder)
                query = {"source": str(source.resolve()), "sql": sql, "seconds": self._seconds}
                process.stdin.write(orjson.dumps(query | self._limits) + b"\n")
                await _expect(process, b"copied", SECONDS_TO_COPY)
            await _expect(process, b"opened", SECONDS_TO_START)
            max_bytes = 8 * (self._limits["max_chars"] + 100 * self._limits["max_rows"])
            try:
                async with asyncio.timeout(self._seconds):
                    output = await _read(process, max_bytes)
            except TimeoutError:
                output = b""
            try:
                result: dict[str, Any] = orjson.loads(output)
            except orjson.JSONDecodeError:  # the process was killed, by its time limit or another limit
                result = {"error": None}
            return result


@asynccontextmanager
async def _private_folder(folder: Path) -> AsyncIterator[Path]:
    """An empty folder that only this user can read; it is deleted afterwards."""
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    await asyncio.to_thread(folder.mkdir, mode=0o700)
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@asynccontextmanager
async def _process(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process, with an empty environment; it is killed afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", str(PROGRAM)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
        env={},
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # it has already ended
            process.kill()
        await process.wait()


async def _expect(process: asyncio.subprocess.Process, word: bytes, seconds: float) -> None:
    assert process.stdout
    try:
        async with asyncio.timeout(seconds):
            line = await process.stdout.readline()
    except TimeoutError:
        line = b""
    if line.strip() != word:
        log.error("ad_hoc_sql_not_started", step=word.decode(), output=line[:200].decode(errors="replace"))
        raise StorageFailed("The event log can't be copied for this query; try again.")


async def _read(process: asyncio.subprocess.Process, max_bytes: int) -> bytes:
    """All output; empty if it exceeds the limit."""
    assert process.stdout
    output = bytearray()
    while chunk := await process.stdout.read(1 << 16):
        output += chunk
        if len(output) > max_bytes:
            return b""
    return bytes(output)


def _check_disk_space(source: Path, folder: Path) -> None:
    needed = source.stat().st_size + RESERVED_BYTES
    if shutil.disk_usage(folder).free < needed:
        raise StorageFailed(
            f"A query needs {needed / 1e6:,.0f} MB on the disk of DATA_DIR, for a copy of the event log; "
            "free some space and try again."
        )
