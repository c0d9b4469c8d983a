"""The audit trail: append-only rows, each one's hash over the row before it. It judges nobody."""

import argparse
import hashlib
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import orjson
import rfc8785

from smart_support import clock
from smart_support.settings import Settings
from smart_support.storage.database import Connection, listed

GENESIS = "0" * 64
ERASED, RETIRED = "erased", "retired"
_NOTHING = "{}"
_COVERED = (
    "number",
    "at",
    "kind",
    "actor",
    "via",
    "thread_id",
    "approval_id",
    "event_id",
    "digest",
    "detail",
)


def append(
    connection: Connection,
    kind: str,
    *,
    actor: str,
    via: str,
    thread_id: str | None = None,
    approval_id: str | None = None,
    digest: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> str:
    """Write one row in the caller's transaction, so that it stands exactly when the fact does.

    Args:
        kind: what happened: `requested`, `decided`, `execution_begun`, `execution_ended`, `erased`...
        actor: who did it; `via`: the door it came through.
        detail: more facts, as JSON.

    Returns:
        The id for the event that tells of this fact; the row is that event's outbox.
    """
    last = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")
    row = {
        "number": last[0]["number"] + 1 if last else 1,
        "at": clock.rfc3339(clock.now()),
        "kind": kind,
        "actor": actor,
        "via": via,
        "thread_id": thread_id,
        "approval_id": approval_id,
        "event_id": clock.new_id(),
        "digest": digest,
        "detail": rfc8785.dumps(dict(detail or {})).decode(),
    }
    row["hash"] = chained(last[0]["hash"] if last else GENESIS, row)
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO audit ({names}) VALUES ({values})", row)
    return str(row["event_id"])


def chained(previous: str, row: Mapping[str, Any]) -> str:
    """SHA-256 over the previous row's hash and this row's canonical JSON, in hexadecimal."""
    body = rfc8785.dumps({name: row[name] for name in _COVERED})
    return hashlib.sha256(previous.encode() + body).hexdigest()


def blank(connection: Connection, thread_ids: Sequence[str], **told: Any) -> None:
    """Take the content out of all rows of these threads, in the caller's transaction; a new row tells of it.

    The new row holds what each blanked row's hash is now, so that the chain can still be checked; the hash
    that a row had stays in it, for the next row was made over that.

    Args:
        told: of the new row: its `kind`, `actor`, `via` and `detail`, as of `append`.
    """
    among, threads = listed("thread", thread_ids)
    rows = connection.execute(
        f"""SELECT audit.*, (SELECT hash FROM audit before WHERE before.number = audit.number - 1) AS previous
            FROM audit WHERE thread_id IN {among} AND detail <> :nothing""",
        threads | {"nothing": _NOTHING},
    )
    hashes = {
        str(row["number"]): chained(row["previous"] or GENESIS, row | {"detail": _NOTHING}) for row in rows
    }
    for number in hashes:
        connection.execute(
            "UPDATE audit SET detail = :nothing WHERE number = :number",
            {"nothing": _NOTHING, "number": int(number)},
        )
    detail = dict(told.pop("detail", {})) | {"blanked": hashes}
    append(connection, told.pop("kind"), detail=detail, **told)


def blanked(rows: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """What `blank` has noted: the hashes of rows without their content, by the rows' numbers."""
    noted: dict[int, str] = {}
    for row in rows:
        if row["kind"] in (ERASED, RETIRED):
            hashes = orjson.loads(row["detail"]).get("blanked", {})
            noted |= {int(number): str(value) for number, value in hashes.items()}
    return noted


def first_broken(rows: Iterable[Mapping[str, Any]], erased: Mapping[int, str] | None = None) -> int | None:
    """The number of the first row that does not follow from the one before it, or None.

    Args:
        erased: what `blanked` gives for the same rows.
    """
    previous, expected = GENESIS, 1
    for row in rows:
        known = {row["hash"], (erased or {}).get(row["number"])}
        try:
            follows = row["number"] == expected and chained(previous, row) in known
        except (rfc8785.CanonicalizationError, TypeError, ValueError):
            follows = False  # a value that none of ours ever was
        if not follows:
            return int(row["number"])
        previous, expected = row["hash"], expected + 1
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m smart_support.audit verify | export`: check the chain, or print it as JSON Lines.

    Returns:
        0 where every row follows from the one before it, 1 where one does not, 2 where there is no record.
    """
    parser = argparse.ArgumentParser(prog="python -m smart_support.audit", description=main.__doc__)
    parser.add_argument("command", choices=["verify", "export"])
    command = parser.parse_args(arguments).command
    path = Settings().data_dir / "state.sqlite"
    if not path.exists():
        print(f"{path}: there is no record here; set SMART_SUPPORT_DATA_DIR", file=sys.stderr)
        return 2
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        noted = "SELECT * FROM audit WHERE kind IN (?, ?) ORDER BY number"
        erased = blanked(dict(row) for row in database.execute(noted, (ERASED, RETIRED)))
        rows = (dict(row) for row in database.execute("SELECT * FROM audit ORDER BY number"))
        return _verify(rows, erased) if command == "verify" else _export(rows)


def _verify(rows: Iterable[Mapping[str, Any]], erased: Mapping[int, str]) -> int:
    count = 0

    def counted() -> Iterator[Mapping[str, Any]]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    broken = first_broken(counted(), erased)
    if broken is not None:
        print(f"row {broken} does not follow from the row before it: the record was changed there or before")
        return 1
    print(f"{count} rows, each follows from the one before it")
    return 0


def _export(rows: Iterable[Mapping[str, Any]]) -> int:
    for row in rows:
        print(orjson.dumps(dict(row) | {"detail": orjson.loads(row["detail"])}).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
