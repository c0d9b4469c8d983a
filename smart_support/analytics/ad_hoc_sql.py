"""An admin's own question to the event log: one SELECT over `events`, which can touch nothing else.

A process of its own answers it, from a copy of the event file (ad_hoc_sql_process.py). So a query can't hold
up a turn, reach a file or a secret, or take the memory of others: that process has none of them, and it is
killed when its time is over.
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
MAX_CHARS = 5_000_000  # of all rows together, as they are handed on
MAX_SQL_CHARS = 20_000
MEMORY_BYTES = 1_000_000_000
# A copy of a large file takes as long as the disk needs; meanwhile events wait in the journal.
SECONDS_TO_COPY = 20.0
SECONDS_TO_START = 20.0
_SPARE_BYTES = 100_000_000
_PROGRAM = Path(__file__).with_name("ad_hoc_sql_process.py")


@dataclass(frozen=True, slots=True)
class Table:
    """An answer. `truncated`: there were more rows than are given."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


class SqlBox:
    """Asks the event log what nobody has written a figure for."""

    def __init__(
        self,
        event_log: EventStore,
        *,
        seconds: float = SECONDS,
        max_rows: int = MAX_ROWS,
        max_chars: int = MAX_CHARS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        """The limits of one answer: its time from the moment the copy is open, its size, its memory."""
        self._log = event_log
        self._seconds = seconds
        self._limits = {"max_rows": max_rows, "max_chars": max_chars, "memory_bytes": memory_bytes}
        # One question at a time: two could keep every core from the turns, and there is one copy.
        self._asking = asyncio.Lock()

    async def ask(self, sql: str) -> Table:
        """The rows of one SELECT over `events`, within the limits.

        Raises:
            InvalidRequest: it is something else, is wrong, or takes too much; says which.
            StorageFailed: the event file could not be copied.
        """
        if not sql.strip() or len(sql) > MAX_SQL_CHARS:
            raise InvalidRequest(f"sql: give one SELECT over events, of at most {MAX_SQL_CHARS:,} characters")
        try:
            sql.encode()
        except UnicodeEncodeError:
            raise InvalidRequest("sql: it holds half a character (a lone surrogate); remove it") from None
        async with self._asking, _private_folder(self._log.question_folder) as folder:
            answer = await self._answer(sql, folder)
        if "rows" in answer:
            return Table(answer["columns"], answer["rows"], answer["truncated"])
        if answer["error"] is None:
            megabytes = self._limits["memory_bytes"] / 1_000_000
            raise InvalidRequest(
                f"The question took more than {self._seconds:g} s, or {megabytes:,.0f} MB of memory, and was "
                "stopped; ask about less time, with a condition on happened_at."
            )
        raise InvalidRequest(f"sql: {answer['error']}")

    async def _answer(self, sql: str, folder: Path) -> dict[str, Any]:
        """What the process says: columns and rows, or an `error`, which is None where it was stopped."""
        async with _process(folder) as process:
            assert process.stdin
            await _expect(process, b"ready", SECONDS_TO_START)
            async with self._log.pause_writes() as source:
                _check_room(source, folder)
                question = {"source": str(source.resolve()), "sql": sql, "seconds": self._seconds}
                process.stdin.write(orjson.dumps(question | self._limits) + b"\n")
                await _expect(process, b"copied", SECONDS_TO_COPY)
            await _expect(process, b"opened", SECONDS_TO_START)
            most_bytes = 8 * (self._limits["max_chars"] + 100 * self._limits["max_rows"])
            try:
                async with asyncio.timeout(self._seconds):
                    said = await _read(process, most_bytes)
            except TimeoutError:
                said = b""
            try:
                answer: dict[str, Any] = orjson.loads(said)
            except orjson.JSONDecodeError:  # stopped by us or by one of its limits
                answer = {"error": None}
            return answer


@asynccontextmanager
async def _private_folder(folder: Path) -> AsyncIterator[Path]:
    """An empty folder that nobody else reads, and that is gone afterwards."""
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    await asyncio.to_thread(folder.mkdir, mode=0o700)
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@asynccontextmanager
async def _process(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program, without anything of our environment; it does not outlive the question."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", str(_PROGRAM)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
        env={},
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            process.kill()
        await process.wait()


async def _expect(process: asyncio.subprocess.Process, word: bytes, seconds: float) -> None:
    assert process.stdout
    try:
        async with asyncio.timeout(seconds):
            said = await process.stdout.readline()
    except TimeoutError:
        said = b""
    if said.strip() != word:
        log.error("question_not_begun", step=word.decode(), said=said[:200].decode(errors="replace"))
        raise StorageFailed("The event log could not be copied for this question; try again.")


async def _read(process: asyncio.subprocess.Process, most_bytes: int) -> bytes:
    """All that it says; nothing where that is more than it may be."""
    assert process.stdout
    said = bytearray()
    while chunk := await process.stdout.read(1 << 16):
        said += chunk
        if len(said) > most_bytes:
            return b""
    return bytes(said)


def _check_room(source: Path, folder: Path) -> None:
    needed = source.stat().st_size + _SPARE_BYTES
    if shutil.disk_usage(folder).free < needed:
        raise StorageFailed(
            f"A question is answered from a copy of the event log, which needs {needed / 1e6:,.0f} MB on the "
            "disk of DATA_DIR; free some, then ask again."
        )
