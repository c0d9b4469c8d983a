"""What a write to a demo business changed, in words: two snapshots in, `Change`s out. No database here.

Only what a person deciding would look at is told; the moment of a change, new ids and sums that follow
from other lines are not, so that a preview says exactly what running it later does. What that is for each
business stands beside its tools, in `*_changes.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smart_support.demo.money import exact
from smart_support.tools.registry import Change

Row = dict[str, Any]
Tables = Mapping[str, list[Row]]
NONE = "none"


@dataclass(frozen=True, slots=True)
class Effect:
    """How a business tells what a write changed.

    Attributes:
        tables: what is compared.
        told: the lines, from those tables before and after.
    """

    tables: tuple[str, ...]
    told: Callable[[Tables, Tables], list[Change]]


@dataclass(frozen=True, slots=True)
class Watched:
    """A table whose rows change.

    Attributes:
        key: the column that names a row.
        noun: what a row is called on a card: `order`, which makes `order 1042`.
        fields: what is told, a label for each column.
    """

    table: str
    key: str
    noun: str
    fields: Mapping[str, str]

    def changed(self, before: Tables, after: Tables) -> Iterator[Change]:
        """A line for each told column of each row that is another one now."""
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
    """A value as a person who decides reads it; money in the row's currency."""
    value = row[column]
    if value is None:
        return NONE
    if column.endswith("_cents"):
        return exact(value, row["currency"])
    if column.endswith("_percent"):
        return f"{value}%" if value else NONE
    if column.endswith("_at"):
        return str(value)[:10]
    return str(value)
