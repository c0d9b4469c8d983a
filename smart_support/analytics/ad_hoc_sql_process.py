"""A program that runs SQL queries of an admin, each on a copy of the event file. ad_hoc_sql.py starts it.

It starts once and forks for each query, because importing DuckDB takes longer than most queries. It opens no
database itself.

DuckDB recommends running untrusted SQL in a sandboxed process ("Securing DuckDB",
https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview). There are three independent
layers:

1. Once the copy is open, the query's process can't open files or sockets. Its environment is empty, and it is
   killed when its time is over.
2. DuckDB is locked: no external access, no extensions, no changes to settings.
3. The syntax tree may only contain the table `events`, its own common table expressions, and the functions in
   `ad_hoc_sql_functions.txt`. What a new DuckDB release adds is refused until it is reviewed.

It imports nothing from this project: it is started by its path, in Python's isolated mode.
"""

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import duckdb
import orjson

TABLE = "events"
TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series"})
FUNCTIONS = frozenset(
    Path(__file__).with_name("ad_hoc_sql_functions.txt").read_text(encoding="utf-8").splitlines()
)
# What a syntax tree may contain, by the names of DuckDB's serializer.
_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "CTE_NODE", "RECURSIVE_CTE_NODE"})
_SOURCES = frozenset(
    {"BASE_TABLE", "JOIN", "SUBQUERY", "TABLE_FUNCTION", "EMPTY", "EXPRESSION_LIST", "PIVOT", "EMPTY_FROM"}
)
_CLAUSES = frozenset(
    {
        *("ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"),
        *("ORDER_DEFAULT", "ASCENDING", "DESCENDING", "ORDER_ASCENDING", "ORDER_DESCENDING"),
    }
)
_EXPRESSIONS = frozenset(
    {
        *("BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT"),
        *("FUNCTION", "LAMBDA", "LAMBDA_REF", "OPERATOR", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY"),
        *("TYPE", "WINDOW"),
    }
)
# Every type of value that a result can contain: it imports Python's modules for them while files can be
# opened.
_ALL_TYPES = """
    SELECT uuid(), 1.5::DECIMAL(9, 2), DATE '2026-01-01', TIME '12:00', TIMESTAMP '2026-01-01',
        INTERVAL 1 DAY, '\\x00'::BLOB, [1], {'a': 1}, MAP {'a': 1}, 1::HUGEINT,
        '101'::BIT, 1.5, NULL, '{}'::JSON
"""
_BATCH_ROWS = 200
_BIG_INTEGER = 2**53  # not every JSON parser represents larger integers exactly


class Query(NamedTuple):
    """The SQL and its limits. `folder` is an empty folder for the copy of `source`."""

    folder: str
    source: str
    sql: str
    seconds: float
    max_rows: int
    max_chars: int
    memory_bytes: int


class Refused(Exception):
    """The query is not allowed; the message says why."""


def main() -> None:
    """Print `ready`. Run each query on stdin, one JSON line each, and print `ended` after it."""
    _print_line(b"ready")
    while line := sys.stdin.buffer.readline():
        child = os.fork()
        if not child:
            os.close(sys.stdin.fileno())
            _run(Query(**orjson.loads(line)))
        os.waitpid(child, 0)
        _print_line(b"ended")


def _run(query: Query) -> NoReturn:
    """Print `copied`, `opened` and the result, and end this process."""
    with suppress(OSError):
        os.nice(10)
    os.chdir(query.folder)
    copy = Path("events.duckdb")
    _copy_file(query.source, copy)
    if os.path.exists(f"{query.source}.wal"):
        _copy_file(f"{query.source}.wal", Path(f"{copy}.wal"))
    _print_line(b"copied")
    database = _open(copy, query.memory_bytes)
    _drop_privileges(query)
    _print_line(b"opened")
    # Not handled in Python, so it ends the process even in the middle of a DuckDB function.
    signal.setitimer(signal.ITIMER_REAL, query.seconds)
    try:
        result = _execute(database, query)
    except (Refused, duckdb.Error) as error:
        result = {"error": _first_line(error)}
    except MemoryError:
        result = {"error": None}
    except Exception as error:
        result = {"error": f"the result can't be shown ({type(error).__name__})"}
    _print_line(orjson.dumps(result))
    # Skip clean-up: the process needs nothing any more.
    os._exit(0)


def _print_line(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _copy_file(source: str, target: Path) -> None:
    """Copy a file; file systems that support it share the blocks."""
    with open(source, "rb") as reader, open(target, "xb") as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            while left > 0 and (copied := os.copy_file_range(reader.fileno(), writer.fileno(), left)):
                left -= copied
        except (AttributeError, OSError):  # not supported by the system or between these file systems
            reader.seek(0)
            writer.seek(0)
            while chunk := reader.read(1_000_000):
                writer.write(chunk)


def _open(path: Path, memory_bytes: int) -> duckdb.DuckDBPyConnection:
    """Open the copy in a locked DuckDB instance."""
    database = duckdb.connect(
        str(path),
        read_only=True,
        config={
            "threads": 1,
            "memory_limit": f"{memory_bytes // 1_000_000}MB",
            "temp_directory": "",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
        },
    )
    for sql in ("enable_progress_bar = false", "enable_external_access = false", "lock_configuration = true"):
        database.execute(f"SET {sql}")
    database.execute(_ALL_TYPES).fetchall()
    return database


def _drop_privileges(query: Query) -> None:
    """Forbid opening files and sockets and writing, and limit memory and CPU time."""
    limits = {
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        # Ends this process even if the app is killed.
        resource.RLIMIT_CPU: int(query.seconds) + 10,
        # DuckDB's limit does not count code and stacks.
        resource.RLIMIT_AS: query.memory_bytes + 1_000_000_000,
    }
    for kind, limit in limits.items():
        with suppress(ValueError, OSError):  # a stricter limit is set, or the system has no such limit
            resource.setrlimit(kind, (limit, limit))


def _execute(database: duckdb.DuckDBPyConnection, query: Query) -> dict[str, Any]:
    # One extra row shows whether there are more.
    sql = f"SELECT * FROM (\n{query.sql.strip().rstrip(';')}\n) LIMIT {query.max_rows + 1}"
    # The complete statement is checked, so brackets or comments in it can't change its meaning.
    serialized = database.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()[0][0]
    check(serialized)
    cursor = database.execute(sql)
    columns = [column[0] for column in cursor.description or ()]
    rows: list[list[Any]] = []
    chars = 0
    while batch := cursor.fetchmany(_BATCH_ROWS):
        for row in batch:
            cells = [_as_json(value) for value in row]
            chars += sum(len(str(value)) for value in cells)
            if len(rows) == query.max_rows or chars > query.max_chars:
                return {"columns": columns, "rows": rows, "truncated": True}
            rows.append(cells)
    return {"columns": columns, "rows": rows, "truncated": False}


def check(serialized: str) -> None:
    """Check that a statement, serialized by `json_serialize_sql`, reads only `events`.

    Raises:
        Refused: it uses something else, or is not a single SELECT.
    """
    try:
        tree = orjson.loads(serialized)
    except orjson.JSONDecodeError:  # nested too deeply for the parser
        raise Refused("it is nested too deeply; simplify it") from None
    if tree["error"] or len(tree["statements"]) != 1:
        why = tree.get("error_message") or "there are several"
        raise Refused(f"enter one SELECT statement ({why})")
    for part, tables in _parts(tree["statements"][0]):
        _check_part(part, tables)


def _parts(load_query: dict[str, Any]) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Every object of a syntax tree, with the tables that it can refer to.

    A common table expression can be referred to after its definition and, if it is recursive, in its
    recursive part. Elsewhere DuckDB would resolve the name differently, for example as a file.
    """
    left: list[tuple[Any, frozenset[str]]] = [(load_query, frozenset({TABLE}))]
    while left:
        value, tables = left.pop()
        if isinstance(value, list):
            left += [(item, tables) for item in value]
        if not isinstance(value, dict):
            continue
        for entry in (value.get("cte_map") or {}).get("map", ()):
            name = str(entry["key"]).lower()
            if not name.replace("_", "").replace(" ", "").isalnum():
                raise Refused(f"{name!r} can't be the name of a common table expression here")
            left.append((entry["value"], tables))
            tables |= {name}
        yield value, tables
        recursive = tables
        if value.get("type") in ("RECURSIVE_CTE_NODE", "CTE_NODE") and value.get("cte_name"):
            recursive = tables | {str(value["cte_name"]).lower()}
        for name, inner in value.items():
            if name != "cte_map":
                left.append((inner, recursive if name in ("right", "child") else tables))


def _check_part(part: dict[str, Any], tables: frozenset[str]) -> None:
    kind, expression = part.get("type"), part.get("class")
    if expression is not None:
        if expression not in _EXPRESSIONS:
            raise Refused(f"{_words(expression)} is not allowed here")
        # Operators are functions too.
        if expression in ("FUNCTION", "WINDOW"):
            _check_name(part, "function_name", FUNCTIONS | TABLE_FUNCTIONS, "the function")
        return
    if "qualified_name" in part or kind == "BASE_TABLE":
        _check_name(part, "table_name", tables, "the table")
    if kind == "TABLE_FUNCTION":
        _check_name(part["function"], "function_name", TABLE_FUNCTIONS, "the table function")
    is_source = "sample" in part and "column_name_alias" in part
    allowed = _SOURCES if is_source else _NODES | _SOURCES | _CLAUSES
    if isinstance(kind, str) and kind not in allowed:
        raise Refused(f"{_words(kind)} is not allowed here")


def _check_name(part: dict[str, Any], field: str, allowed: frozenset[str], what: str) -> None:
    """Check that the name is allowed and has no catalog or schema."""
    name = str(part.get(field, ""))
    path = (part.get("qualified_name") or {}).get("path", [name])
    prefixes = [part.get(one) for one in ("catalog", "schema", "catalog_name", "schema_name")]
    if any(prefixes) or path != [name] or name.lower() not in allowed:
        shown = ".".join(str(one) for one in [*filter(None, prefixes), name])
        only = f"; the only table is {TABLE}" if what == "the table" else ""
        raise Refused(f"{what} {shown[:100]!r} can't be used here{only}")


def _words(kind: object) -> str:
    return str(kind).lower().replace("_", " ")


def _as_json(value: Any) -> Any:
    """A cell as a JSON value."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _BIG_INTEGER:
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _as_json(item) for name, item in value.items()}
    return str(value)


def _first_line(error: Exception) -> str | None:
    """The error message without DuckDB's drawing of the position; None if memory ran out."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return None
    if "pytz" in str(error):
        return "a time with a time zone can't be shown; convert it to UTC with ::TIMESTAMP"
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


if __name__ == "__main__":
    main()
