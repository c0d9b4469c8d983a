"""The search index of one event file: which texts have some three characters in a row (SQLite's FTS5).

It is a file of its own beside the event file, made from the table `texts`, and may be deleted at any time. A
thread of its own makes it, behind the event file, so that nothing waits for it. A search looks through the
texts that are not in it yet one by one. So neither a kill nor a deleted file loses a hit.

The numbers of texts are divided into parts, each with an FTS5 table. An erasure drops the parts that have one
of the erased texts, before the event file deletes these; the parts are then made again. FTS5 can't delete
single texts from its pages.

The index gives candidates. The caller compares each with the whole of what is looked for.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb

from smart_support.observability.log import get_logger
from smart_support.storage.events.readers_writer_lock import ReadersWriterLock
from smart_support.storage.events.snapshots import Params, rows_of
from smart_support.storage.state.base import Row

log = get_logger()

# Numbers of one part. More make an erasure slower, fewer a search.
PART_SIZE = 131_072
# Texts of one commit: about 50 ms.
BATCH_SIZE = 4_096
# With fewer new events or texts, a search looks through these itself. A commit of few costs nearly as much as
# one of many.
MIN_NEW_EVENTS = 4_096
MIN_NEW_TEXTS = 2_048
# The newest texts, of which it is counted how many have which characters.
SAMPLE_SIZE = 4_096
MAX_GRAMS = 64
USED_GRAMS = 4
# With more of them the index saves nothing: looking through all texts takes no longer.
MAX_SAMPLE_SHARE = 0.02
MAX_CANDIDATES = 20_000
MAX_TERMS = 400
MAX_RANGES = 40
GRAM = 3
# Ends each text, so that each character of it is at the start of three.
_END = "\x02" * (GRAM - 1)
_FORMAT = 1
_TABLES = """
    CREATE TABLE IF NOT EXISTS of_texts (format INTEGER NOT NULL, numbering TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS parts (part INTEGER PRIMARY KEY, end_number INTEGER NOT NULL)
"""
# Texts are in lower case already, the same as what is looked for.
_PART = """
    CREATE VIRTUAL TABLE part_{part} USING fts5 (
        text, content='', columnsize=0, detail=none, tokenize='trigram case_sensitive 1'
    );
    CREATE VIRTUAL TABLE terms_{part} USING fts5vocab (part_{part}, row)
"""
_ADD = "INSERT INTO part_{part} (rowid, text) SELECT value ->> 0, value ->> 1 FROM json_each(?)"
# FTS5 reads a text up to the first NUL.
_TEXTS = f"""
    SELECT json_group_array(json_array(number, replace(text, chr(0), ' ') || '{_END}')) AS texts
    FROM (
        SELECT number, text
        FROM texts
        WHERE number >= $first AND number < $end AND text IS NOT NULL
        ORDER BY number
    )
"""
_NUMBERED = "SELECT next_number, numbering::VARCHAR AS numbering FROM numbered_texts"
_SOUGHT = "SELECT lower($q) AS lowered, strip_accents(lower($q)) AS folded, * FROM numbered_texts"

Query = Callable[[str, Params], list[Row]]


@dataclass(frozen=True, slots=True)
class Hits:
    """Which texts can have what is looked for: those with these numbers, and those that are in no index.

    Attributes:
        candidates: the numbers of the texts that the index gives.
        unindexed: ranges of numbers, each without its end; None for an end that is open.
    """

    candidates: list[int]
    unindexed: list[tuple[int, int | None]]


class SearchIndex:
    """The index of one event file. Has a thread that makes it; `find` is for any thread."""

    def __init__(
        self,
        path: Path,
        query: Query,
        file_lock: ReadersWriterLock,
        open_cursor: Callable[[], duckdb.DuckDBPyConnection],
    ) -> None:
        """
        Args:
            path: of the event file.
            query: runs a statement on the event file, in any thread.
            file_lock: held shared while a cursor is open.
        """
        self.path = path.with_name(f"{path.name}.search")
        self._query = query
        self._file_lock = file_lock
        self._open_cursor = open_cursor
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="event-search")
        # Held while a batch is added, and while parts are dropped.
        self._changing = threading.Lock()
        self._is_paused = False
        self._is_closed = False
        self._is_scheduled = False
        # Since the last update began.
        self._new_events = 0

    def add_events(self, events: int) -> None:
        """Take note that the file has texts of so many more events. Called in the file's writing thread."""
        self._new_events += events
        if self._new_events >= MIN_NEW_EVENTS:
            self.schedule()

    def schedule(self) -> None:
        """Have new texts added soon, if there are enough. From any thread."""
        if self._is_scheduled or self._is_paused or self._is_closed:
            return
        self._is_scheduled = True
        self._worker.submit(self._update)

    def wait(self) -> None:
        """Add all new texts, and return when they are there. For tests and measurements."""
        self._worker.submit(self._add_batches, 1).result()

    def forget(self, positions: Sequence[int]) -> None:
        """Drop the parts that have these texts, and add none before `resume`: they are about to be deleted.

        Raises:
            sqlite3.Error: the parts can't be dropped, so the texts must not be deleted now.
        """
        with self._changing:
            self._is_paused = True
            if not self.path.exists():
                return
            with contextlib.closing(self._open()) as database:
                with _transaction(database):
                    for part in sorted({number // PART_SIZE for number in positions}):
                        _drop(database, part)
                _truncate_log(database)

    def resume(self) -> None:
        """Go on, because the texts are deleted, or will not be."""
        if self._is_paused:
            self._is_paused = False
            self.schedule()

    def compact(self) -> None:
        """Leave nothing of what was dropped in the bytes of the file's log."""
        with self._changing, contextlib.suppress(sqlite3.Error):
            if self.path.exists():
                with contextlib.closing(self._open()) as database:
                    _truncate_log(database)

    def find(self, q: str) -> Hits | None:
        """The texts that can have `q`; None if it is in so many, or is so short, that each must be read."""
        try:
            return self._find(q)
        except sqlite3.Error as error:
            # No file, or one that is made anew just now.
            log.debug("search_index_unused", error=repr(error))
            return None

    def close(self) -> None:
        """End after the current batch."""
        self._is_closed = True
        self._worker.shutdown(wait=True)

    def _find(self, q: str) -> Hits | None:
        if not self.path.exists():
            return None
        (sought,) = self._query(_SOUGHT, {"q": q})
        next_number, numbering = int(sought["next_number"]), str(sought["numbering"])
        terms = [self._rarest(text, next_number) for text in {sought["lowered"], sought["folded"]}]
        if not all(terms):
            return None
        with contextlib.closing(self._open()) as database, _transaction(database, "DEFERRED"):
            if database.execute("SELECT format, numbering FROM of_texts").fetchall() != [
                (_FORMAT, numbering)
            ]:
                return None
            ends = dict(database.execute("SELECT part, end_number FROM parts").fetchall())
            unindexed = _unindexed(ends, next_number)
            if unindexed is None:
                return None
            candidates: set[int] = set()
            for part in sorted(ends, reverse=True):
                for grams in terms:
                    expression = _expression(database, part, grams or [])
                    if expression is None:
                        return None
                    if expression:
                        rows = database.execute(
                            f"SELECT rowid FROM part_{part} WHERE part_{part} MATCH ? LIMIT {MAX_CANDIDATES}",
                            [expression],
                        )
                        candidates.update(number for (number,) in rows)
                if len(candidates) >= MAX_CANDIDATES:
                    return None
        return Hits(sorted(candidates), unindexed)

    def _rarest(self, text: str, next_number: int) -> list[str] | None:
        """The characters of a text by which few texts are found: three each; all of a shorter text.

        None if each of them is in many texts.
        """
        text = text.replace("\0", " ")
        if not text:
            return None
        grams = list({text[at : at + GRAM]: None for at in range(max(1, len(text) - GRAM + 1))})[:MAX_GRAMS]
        counts = ", ".join(f"count(*) FILTER (contains(text, $gram{at}))" for at in range(len(grams)))
        sql = f"""
            SELECT [{counts}] AS counts, count(*) AS texts
            FROM texts
            WHERE number >= $first AND kind = 'message'
        """
        params = {f"gram{at}": gram for at, gram in enumerate(grams)}
        (sample,) = self._query(sql, params | {"first": next_number - SAMPLE_SIZE})
        ordered = sorted(zip(sample["counts"], grams, strict=True))
        if ordered[0][0] > MAX_SAMPLE_SHARE * sample["texts"]:
            return None
        return [gram for _, gram in ordered[:USED_GRAMS]]

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute("PRAGMA secure_delete=ON")
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _update(self) -> None:
        self._is_scheduled, self._new_events = False, 0
        try:
            self._add_batches(MIN_NEW_TEXTS)
        except Exception as error:
            log.error("search_index_not_updated", error=repr(error))
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                self._delete_files()

    def _delete_files(self) -> None:
        with self._changing:
            for ending in ("", "-wal", "-shm"):
                Path(f"{self.path}{ending}").unlink(missing_ok=True)

    def _add_batches(self, min_new: int) -> None:
        while self._add_batch(min_new):
            pass

    def _add_batch(self, min_new: int) -> bool:
        """Add some texts. Returns whether there may be more."""
        # In this order: `forget` must not wait for who waits for the file to be replaced.
        with self._file_lock.shared(), self._changing, contextlib.closing(self._open_cursor()) as cursor:
            if self._is_paused or self._is_closed:
                return False
            (row,) = rows_of(cursor, _NUMBERED, {})
            next_number, numbering = int(row["next_number"]), str(row["numbering"])
            with contextlib.closing(self._open()) as database:
                self._begin_anew_if_other(database, numbering, next_number)
                ends = dict(database.execute("SELECT part, end_number FROM parts").fetchall())
                missing = [(first, end or next_number) for first, end in _all_unindexed(ends, next_number)]
                if sum(end - first for first, end in missing) < min_new:
                    return False
                first, end = missing[0]
                part = first // PART_SIZE
                end = min(end, first + BATCH_SIZE, (part + 1) * PART_SIZE)
                (batch,) = rows_of(cursor, _TEXTS, {"first": first, "end": end})
                with _transaction(database):
                    if part not in ends:
                        _run(database, _PART.format(part=part))
                    database.execute(_ADD.format(part=part), [batch["texts"]])
                    database.execute("INSERT OR REPLACE INTO parts VALUES (?, ?)", [part, end])
        return True

    def _begin_anew_if_other(self, database: sqlite3.Connection, numbering: str, next_number: int) -> None:
        """Empty an index whose numbers are those of other texts, or reach beyond those that there are."""
        _run(database, _TABLES)
        known = database.execute("SELECT format, numbering FROM of_texts").fetchall()
        last = database.execute("SELECT coalesce(max(end_number), 0) FROM parts").fetchone()[0]
        if known == [(_FORMAT, numbering)] and last <= next_number:
            return
        with _transaction(database):
            for (part,) in database.execute("SELECT part FROM parts").fetchall():
                _drop(database, part)
            database.execute("DELETE FROM of_texts")
            database.execute("INSERT INTO of_texts VALUES (?, ?)", [_FORMAT, numbering])


def _all_unindexed(ends: dict[int, int], next_number: int) -> list[tuple[int, int | None]]:
    """The ranges of numbers that are in no part; the last is open."""
    ranges: list[tuple[int, int | None]] = []
    for part in range(next_number // PART_SIZE + 1):
        first, end = ends.get(part, part * PART_SIZE), (part + 1) * PART_SIZE
        if first == end:
            continue
        if ranges and ranges[-1][1] == first:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((first, end))
    if ranges and (ranges[-1][1] or 0) > next_number:
        ranges[-1] = (ranges[-1][0], None)
    else:
        ranges.append((next_number, None))
    return ranges


def _unindexed(ends: dict[int, int], next_number: int) -> list[tuple[int, int | None]] | None:
    """As `_all_unindexed`; None if the index does not fit, or most of it is missing."""
    if not ends or max(ends.values()) > next_number:
        return None
    ranges = _all_unindexed(ends, next_number)
    missing = sum((next_number if end is None else end) - first for first, end in ranges)
    return ranges if len(ranges) <= MAX_RANGES and missing <= next_number / 2 else None


def _expression(database: sqlite3.Connection, part: int, grams: list[str]) -> str | None:
    """What FTS5 looks for in a part; empty if nothing can be there, None if it would be too much."""
    if len(grams[0]) == GRAM:
        return " AND ".join(map(_quoted, grams))
    (start,) = grams
    terms = database.execute(
        f"SELECT term FROM terms_{part} WHERE term >= ? AND term < ? LIMIT {MAX_TERMS + 1}",
        [start, f"{start}\U0010ffff"],
    ).fetchall()
    return None if len(terms) > MAX_TERMS else " OR ".join(_quoted(term) for (term,) in terms)


def _quoted(gram: str) -> str:
    return '"' + gram.replace('"', '""') + '"'


def _drop(database: sqlite3.Connection, part: int) -> None:
    database.execute(f"DROP TABLE IF EXISTS terms_{part}")
    database.execute(f"DROP TABLE IF EXISTS part_{part}")
    database.execute("DELETE FROM parts WHERE part = ?", [part])


def _run(database: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";"):
        database.execute(statement)


def _truncate_log(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    database.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
