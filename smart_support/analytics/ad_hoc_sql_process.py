"""A program of its own that answers one question of an admin, from a copy of the event file. See sql_box.py.

SQL is code: DuckDB's own advice is to run what others write in a process that can do nothing else (its page
"Securing DuckDB", https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview). There are three
walls, each enough by itself:

1. The process can open no file and no socket once the copy is open, its environment is empty, and it is
   killed when its time is over, whatever it is doing.
2. DuckDB is locked: no external access, no extensions, no setting can be changed.
3. The syntax tree may name the table `events` and its own common table expressions, and functions of a
   list (`ad_hoc_sql_functions.txt`). What a new release of DuckDB adds is refused until somebody reviews it.

It imports nothing of this project: it is started by its path, in Python's isolated mode.
"""

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import orjson

TABLE = "events"
TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series"})
FUNCTIONS = frozenset(
    Path(__file__).with_name("ad_hoc_sql_functions.txt").read_text(encoding="utf-8").splitlines()
)
# What may stand in a syntax tree, in the words of DuckDB's serializer.
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
# Every kind of value that an answer can hold: Python's modules for them are imported before no file opens.
_ALL_KINDS = """
    SELECT uuid(), 1.5::DECIMAL(9, 2), DATE '2026-01-01', TIME '12:00', TIMESTAMP '2026-01-01',
        INTERVAL 1 DAY, '\\x00'::BLOB, [1], {'a': 1}, MAP {'a': 1}, 1::HUGEINT,
        '101'::BIT, 1.5, NULL, '{}'::JSON
"""
_AT_ONCE = 200
_BIG_INTEGER = 2**53  # the first that not every reader of JSON holds exactly


class Question(NamedTuple):
    """What is asked, and how much the answer may take."""

    source: str
    sql: str
    seconds: float
    max_rows: int
    max_chars: int
    memory_bytes: int


class Refused(Exception):
    """The question is not answered; the message says why."""


def main() -> None:
    """Answer the question on stdin; say on stdout that the file is copied, then open, and the answer."""
    _tell(b"ready")
    question = Question(**orjson.loads(sys.stdin.buffer.readline()))
    with suppress(OSError):
        os.nice(10)
    copy = Path("events.duckdb")
    _copy_file(f"{question.source}", copy)
    if os.path.exists(f"{question.source}.wal"):
        _copy_file(f"{question.source}.wal", Path(f"{copy}.wal"))
    _tell(b"copied")
    database = _opened(copy, question.memory_bytes)
    _seal(question)
    _tell(b"opened")
    try:
        answer = _answer(database, question)
    except (Refused, duckdb.Error) as error:
        answer = {"error": _first_line(error)}
    except MemoryError:
        answer = {"error": None}
    except Exception as error:
        answer = {"error": f"the answer can't be shown ({type(error).__name__})"}
    _tell(orjson.dumps(answer))
    # Without closing what is open: nothing of it is needed any more.
    os._exit(0)


def _tell(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _copy_file(source: str, target: Path) -> None:
    """Copy a file, without its bytes where the file system can share them."""
    with open(source, "rb") as read, open(target, "xb") as written:
        left = os.fstat(read.fileno()).st_size
        try:
            while left > 0 and (copied := os.copy_file_range(read.fileno(), written.fileno(), left)):
                left -= copied
        except (AttributeError, OSError):  # not on this system, or not between these file systems
            read.seek(0)
            written.seek(0)
            while chunk := read.read(1_000_000):
                written.write(chunk)


def _opened(path: Path, memory_bytes: int) -> duckdb.DuckDBPyConnection:
    """The copy, in an instance that can reach nothing else."""
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
    database.execute(_ALL_KINDS).fetchall()
    return database


def _seal(question: Question) -> None:
    """Open no file or socket any more, write nothing, and take no more memory and time than that."""
    limits = {
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        # Should the app be killed, this process ends all the same.
        resource.RLIMIT_CPU: int(question.seconds) + 10,
        # Code and stacks take some beside what DuckDB counts.
        resource.RLIMIT_AS: question.memory_bytes + 1_000_000_000,
    }
    for kind, limit in limits.items():
        with suppress(ValueError, OSError):  # where a stricter limit or no such limit exists
            resource.setrlimit(kind, (limit, limit))


def _answer(database: duckdb.DuckDBPyConnection, question: Question) -> dict[str, Any]:
    # One more than is shown, so that it is known whether there are more.
    sql = f"SELECT * FROM (\n{question.sql.strip().rstrip(';')}\n) LIMIT {question.max_rows + 1}"
    # The text that will run is what is checked, so no bracket or comment in it can mean two things.
    serialized = database.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()[0][0]
    check(serialized)
    result = database.execute(sql)
    columns = [column[0] for column in result.description or ()]
    rows: list[list[Any]] = []
    chars = 0
    while some := result.fetchmany(_AT_ONCE):
        for row in some:
            shown = [_as_json(value) for value in row]
            chars += sum(len(str(value)) for value in shown)
            if len(rows) == question.max_rows or chars > question.max_chars:
                return {"columns": columns, "rows": rows, "truncated": True}
            rows.append(shown)
    return {"columns": columns, "rows": rows, "truncated": False}


def check(serialized: str) -> None:
    """See that a statement, as `json_serialize_sql` gives it, asks for nothing but events.

    Raises:
        Refused: it asks for something else, or is no single SELECT.
    """
    try:
        tree = orjson.loads(serialized)
    except orjson.JSONDecodeError:  # nested deeper than its reader goes
        raise Refused("it is nested too deeply; ask something simpler") from None
    if tree["error"] or len(tree["statements"]) != 1:
        why = tree.get("error_message") or "there is more than one"
        raise Refused(f"give one SELECT statement ({why})")
    for part, tables in _parts(tree["statements"][0]):
        _check_part(part, tables)


def _parts(statement: dict[str, Any]) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Every object of a tree, each with the tables that can be named there.

    A common table expression can be named after its definition, and in it only where it is recursive: by the
    part that is repeated. Anywhere else DuckDB would look for its name elsewhere, for a file among others.
    """
    left: list[tuple[Any, frozenset[str]]] = [(statement, frozenset({TABLE}))]
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
        repeated = tables
        if value.get("type") in ("RECURSIVE_CTE_NODE", "CTE_NODE") and value.get("cte_name"):
            repeated = tables | {str(value["cte_name"]).lower()}
        for name, inner in value.items():
            if name != "cte_map":
                left.append((inner, repeated if name in ("right", "child") else tables))


def _check_part(part: dict[str, Any], tables: frozenset[str]) -> None:
    kind, expression = part.get("type"), part.get("class")
    if expression is not None:
        if expression not in _EXPRESSIONS:
            raise Refused(f"{_words(expression)} can't be asked here")
        # Calls and operators alike, for an operator is a function by another name.
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
        raise Refused(f"{_words(kind)} can't be asked here")


def _check_name(part: dict[str, Any], field: str, allowed: frozenset[str], what: str) -> None:
    """See that it is one of the names, and stands alone: no catalog and no schema before it."""
    name = str(part.get(field, ""))
    path = (part.get("qualified_name") or {}).get("path", [name])
    prefixed = [part.get(one) for one in ("catalog", "schema", "catalog_name", "schema_name")]
    if any(prefixed) or path != [name] or name.lower() not in allowed:
        shown = ".".join(str(one) for one in [*filter(None, prefixed), name])
        only = f"; there is only {TABLE}" if what == "the table" else ""
        raise Refused(f"{what} {shown[:100]!r} can't be used here{only}")


def _words(kind: object) -> str:
    return str(kind).lower().replace("_", " ")


def _as_json(value: Any) -> Any:
    """A cell as JSON can have it."""
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
    """What is wrong, without the position that DuckDB draws below; None where memory ran out."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return None
    if "pytz" in str(error):
        return "a time with a zone can't be shown; write ::TIMESTAMP after it, for UTC"
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


if __name__ == "__main__":
    main()
