"""Runs an admin's own SQL: one SELECT over the table `events`, and nothing else.

Each runs in a separate process, forked by ad_hoc_sql_process.py, on a copy of the event file. So a query
can't delay a turn, read a file or a secret, or use the app's memory, and it is killed when its time is over.
"""

import asyncio
import os
import shutil
import signal
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
# The process that forks is kept this long for the next query; it holds about 60 MB.
IDLE_SECONDS = 60.0
# A query's process ends itself. Where it does not, it is killed this much later.
_GRACE_SECONDS = 5.0
RESERVED_BYTES = 100_000_000
PROGRAM = Path(__file__).with_name("ad_hoc_sql_process.py")
_ENDED = b"ended"


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
        self._forking: asyncio.subprocess.Process | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """End its process. The next query starts another one."""
        self._stop_timer()
        process = self._forking
        self._kill()
        if process:
            await process.wait()

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
        has_ended = False
        try:
            process = await self._start()
            async with self._log.pause_writes() as source:
                _check_disk_space(source, folder)
                await self._send(process, sql, source, folder)
                await _expect(process, b"copied", SECONDS_TO_COPY)
            await _expect(process, b"opened", SECONDS_TO_START)
            async with asyncio.timeout(self._seconds + _GRACE_SECONDS):
                output = await _read_line(process)
            # A query that is killed can leave an unfinished line before that word.
            has_ended = output.endswith(_ENDED)
            if not output or has_ended:
                return {"error": None}
            await _expect(process, _ENDED, _GRACE_SECONDS)
            has_ended = True
            result: dict[str, Any] = orjson.loads(output)
            return result
        except TimeoutError:
            return {"error": None}
        finally:
            if has_ended:
                self._end_when_idle()
            else:
                await self.close()

    async def _start(self) -> asyncio.subprocess.Process:
        """The process that forks, with an empty environment, in a process group of its own."""
        self._stop_timer()
        if self._forking is None or self._forking.returncode is not None:
            self._forking = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", str(PROGRAM)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=8 * (self._limits["max_chars"] + 100 * self._limits["max_rows"]),
                env={},
                start_new_session=True,
            )
            await _expect(self._forking, b"ready", SECONDS_TO_START)
        return self._forking

    async def _send(self, process: asyncio.subprocess.Process, sql: str, source: Path, folder: Path) -> None:
        # Absolute paths: the process has another working folder.
        query = {"folder": f"{Path.cwd() / folder}", "source": f"{Path.cwd() / source}", "sql": sql}
        assert process.stdin
        process.stdin.write(orjson.dumps(query | {"seconds": self._seconds} | self._limits) + b"\n")
        await process.stdin.drain()

    def _end_when_idle(self) -> None:
        loop = asyncio.get_running_loop()
        self._idle_timer = loop.call_later(IDLE_SECONDS, self._kill)

    def _kill(self) -> None:
        process, self._forking = self._forking, None
        if process:
            with suppress(ProcessLookupError):  # it has already ended
                os.killpg(process.pid, signal.SIGKILL)

    def _stop_timer(self) -> None:
        if self._idle_timer:
            self._idle_timer.cancel()


@asynccontextmanager
async def _private_folder(folder: Path) -> AsyncIterator[Path]:
    """An empty folder that only this user can read; it is deleted afterwards."""
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    await asyncio.to_thread(folder.mkdir, mode=0o700)
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _expect(process: asyncio.subprocess.Process, word: bytes, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            line = await _read_line(process)
    except TimeoutError:
        line = b""
    if line != word:
        log.error("ad_hoc_sql_not_started", step=word.decode(), output=line[:200].decode(errors="replace"))
        raise StorageFailed("The event log can't be copied for this query; try again.")


async def _read_line(process: asyncio.subprocess.Process) -> bytes:
    """The next line; empty if it exceeds the limit or the process has ended."""
    assert process.stdout
    try:
        return (await process.stdout.readline()).strip()
    except ValueError:  # over the limit
        return b""


def _check_disk_space(source: Path, folder: Path) -> None:
    needed = source.stat().st_size + RESERVED_BYTES
    if shutil.disk_usage(folder).free < needed:
        raise StorageFailed(
            f"A query needs {needed / 1e6:,.0f} MB on the disk of DATA_DIR, for a copy of the event log; "
            "free some space and try again."
        )
