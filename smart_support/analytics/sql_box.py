"""An admin's own question to the event log: one SELECT over `events`, which can touch nothing else.

It is held to that by its syntax tree, not by its text. Whose question may be asked is the door's affair.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import orjson

from smart_support.errors import InvalidRequest
from smart_support.storage.event_log import EventLog

SECONDS = 5.0
MAX_ROWS = 10_000
MAX_CHARS = 5_000_000  # of all rows together, as they are handed on
MAX_SQL_CHARS = 20_000
# Nested in each other they keep the parser busy for minutes, and it can't be interrupted.
MAX_BRACKETS = 200
_TABLE = "events"
_SOURCES = {"BASE_TABLE", "JOIN", "SUBQUERY", "TABLE_FUNCTION", "EMPTY", "EXPRESSION_LIST", "PIVOT"}
_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "CTE_NODE", "RECURSIVE_CTE_NODE"}
_TABLE_FUNCTIONS = {"unnest", "range", "generate_series"}
# Without side effects, and yet about the machine instead of the rows.
_UNWANTED = {"current_setting", "getenv", "getvariable", "parse_duckdb_log_message", "json_deserialize_sql"}
# One call of these makes as much as it is told to, and can't be interrupted before it has.
_UNWANTED |= {"repeat", "lpad", "rpad", "printf", "format", "list_resize", "array_resize", "bitstring"}
_UNWANTED |= {"range", "generate_series"}
_FUNCTIONS = """
    SELECT DISTINCT function_name AS name
    FROM duckdb_functions()
    WHERE function_type IN ('scalar', 'aggregate', 'macro')
    EXCEPT
    SELECT function_name FROM duckdb_functions() WHERE has_side_effects
"""


@dataclass(frozen=True, slots=True)
class Table:
    """An answer. `truncated`: there were more rows than are given."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


class SqlBox:
    """Asks the event log what nobody has written a figure for."""

    def __init__(self, event_log: EventLog, *, seconds: float = SECONDS, max_rows: int = MAX_ROWS) -> None:
        self._log = event_log
        self._seconds = seconds
        self._max_rows = max_rows
        # One question at a time: two could keep every core from the turns.
        self._asking = asyncio.Lock()
        self._functions: frozenset[str] = frozenset()

    async def ask(self, sql: str) -> Table:
        """The rows of one SELECT over `events`, at most `MAX_ROWS`.

        Raises:
            InvalidRequest: it is something else, is wrong, or takes too long; says which.
        """
        asked = f"SELECT * FROM (\n{sql.strip().rstrip(';')}\n) LIMIT {self._max_rows + 1}"
        await self._check(sql, asked)
        async with self._asking:
            try:
                columns, rows = await self._log.ask_once(asked, self._seconds)
            except duckdb.InterruptException:
                raise InvalidRequest(
                    f"The question took more than {self._seconds:g} s, or 1 GB of memory, and was stopped; "
                    "ask about less time, with a condition on happened_at."
                ) from None
            except duckdb.Error as error:
                raise InvalidRequest(_plainly(error)) from None
        shown = list(_within(rows[: self._max_rows], MAX_CHARS))
        return Table(columns, shown, truncated=len(rows) > len(shown))

    async def _check(self, sql: str, asked: str) -> None:
        if not sql.strip() or len(sql) > MAX_SQL_CHARS:
            raise InvalidRequest(
                f"sql: give one SELECT over {_TABLE}, of at most {MAX_SQL_CHARS:,} characters"
            )
        if sum(map(sql.count, "([{")) > MAX_BRACKETS:
            raise InvalidRequest(f"sql: it has more than {MAX_BRACKETS} brackets; ask something simpler")
        if not self._functions:
            found = await self._log.query(_FUNCTIONS)
            self._functions = frozenset(row["name"] for row in found) - _UNWANTED
        # The text that will run is what is checked, so no bracket or comment in it can mean two things.
        read = await self._log.query("SELECT json_serialize_sql($sql) AS tree", {"sql": asked})
        tree = orjson.loads(read[0]["tree"])
        if tree["error"] or len(tree["statements"]) != 1:
            why = tree.get("error_message") or "there is more than one"
            raise InvalidRequest(f"sql: give one SELECT statement ({why})")
        parts = list(_walk(tree["statements"]))
        own = {str(entry["key"]) for part in parts for entry in part.get("cte_map", {}).get("map", ())}
        # As a table `range` is read row by row, and checked as such; as a value it is a list of any length.
        tables = {id(part["function"]) for part in parts if part.get("type") == "TABLE_FUNCTION"}
        for part in parts:
            if id(part) not in tables:
                self._check_part(part, own | {_TABLE})

    def _check_part(self, part: dict[str, Any], tables: set[str]) -> None:
        kind = part.get("type")
        if "sample" in part and kind not in _SOURCES | _NODES:
            raise InvalidRequest(f"sql: {str(kind).lower().replace('_', ' ')} can't be asked here")
        if kind == "BASE_TABLE":
            named = [part.get("catalog_name"), part.get("schema_name"), part["table_name"]]
            if any(named[:2]) or named[2] not in tables:
                raise InvalidRequest(f"sql: there is no table but {_TABLE} here (and not {named[2]!r})")
        if kind == "TABLE_FUNCTION" and _name(part["function"]) not in _TABLE_FUNCTIONS:
            raise InvalidRequest(f"sql: {_name(part['function'])}() can't be used here")
        is_call = part.get("class") == "FUNCTION" and not part.get("is_operator")
        if is_call and _name(part) not in self._functions | {"unnest"}:
            raise InvalidRequest(f"sql: {_name(part)}() can't be used here")


def _within(rows: list[tuple[Any, ...]], most_chars: int) -> Iterator[list[Any]]:
    """The first rows that are not longer than that together."""
    chars = 0
    for row in rows:
        shown = [_wire(value) for value in row]
        chars += sum(len(str(value)) for value in shown)
        if chars > most_chars:
            return
        yield shown


def _name(call: dict[str, Any]) -> str:
    return str(call.get("function_name", "")).lower()


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree; not by recursion, for a question may be nested as deep as it likes."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _wire(value: Any) -> Any:
    """A cell as JSON can have it."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [_wire(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _wire(item) for name, item in value.items()}
    return str(value)


def _plainly(error: duckdb.Error) -> str:
    return f"sql: {str(error).splitlines()[0][:300]}"
