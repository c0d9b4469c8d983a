"""Describes what a write to a demo business changes, from its tables before and after.

Timestamps, new ids and derived sums are left out, so that a preview equals what the write does later. Each
business says in its own `changes.py` which tables and columns count.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smart_support.money import format_money
from smart_support.tools.registry import Change

Row = dict[str, Any]
Tables = Mapping[str, list[Row]]
NONE = "none"


@dataclass(frozen=True, slots=True)
class Effect:
    """How a business describes what a write changed.

    Attributes:
        tables: the tables that are compared.
        describe: the lines of the effect, from those tables before and after.
    """

    tables: tuple[str, ...]
    describe: Callable[[Tables, Tables], list[Change]]


@dataclass(frozen=True, slots=True)
class TrackedTable:
    """A table with rows that writes change.

    Attributes:
        key: the column that identifies a row.
        noun: how a card names a row: `order` makes `order 1042`.
        fields: the columns that count, each with its label.
    """

    table: str
    key: str
    noun: str
    fields: Mapping[str, str]

    def changed(self, before: Tables, after: Tables) -> Iterator[Change]:
        """A line for each column of each row that has another value after than before."""
        was = {row[self.key]: row for row in before[self.table]}
        for row in after[self.table]:
            old = was[row[self.key]]
            for column, label in self.fields.items():
                if old[column] != row[column]:
                    yield Change(
                        f"{self.noun} {row[self.key]}", label, shown(old, column), shown(row, column)
                    )


def added(before: Tables, after: Tables, table: str, key: str) -> Iterator[Row]:
    """The rows that were not there before."""
    known = {row[key] for row in before[table]}
    return (row for row in after[table] if row[key] not in known)


def shown(row: Row, column: str) -> str:
    """A value as a card shows it; money in the row's currency."""
    value = row[column]
    if value is None:
        return NONE
    if column.endswith("_cents"):
        return format_money(value, row["currency"])
    if column.endswith("_percent"):
        return f"{value}%" if value else NONE
    if column.endswith("_at"):
        return str(value)[:10]
    return str(value)
