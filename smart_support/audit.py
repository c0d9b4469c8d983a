"""The audit trail: append-only rows, each one's hash over the row before it. It judges nobody."""

import argparse
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson
import rfc8785

from smart_support import clock
from smart_support.errors import ConfigError
from smart_support.settings import Settings
from smart_support.storage.database import Connection, Row, listed
from smart_support.storage.reading import Read, reading

GENESIS = "0" * 64
ERASED, RETIRED = "erased", "retired"
MOST_TOLD = 20
# Facts and the row that must stand behind each: so that rows can't be cut off the end, where no row follows,
# without the facts being changed as well.
_NOT_ON_RECORD = (
    """SELECT 'approval ' || approval_id || ': nobody is on record as having asked for it' AS told
       FROM approvals WHERE NOT EXISTS (SELECT 1 FROM audit WHERE audit.approval_id = approvals.approval_id
           AND audit.kind = 'requested')""",
    """SELECT 'approval ' || approval_id || ': its being ' || status || ' is not on record' AS told
       FROM approvals WHERE status <> 'pending' AND NOT EXISTS (SELECT 1 FROM audit WHERE audit.approval_id =
           approvals.approval_id AND audit.event_id = approvals.event_id AND audit.digest = approvals.digest
           AND audit.kind = 'decided')""",
    """SELECT 'approval ' || approval_id || ': that ' || tool || ' was begun is not on record' AS told
       FROM action_ledger WHERE NOT EXISTS (SELECT 1 FROM audit WHERE audit.approval_id =
           action_ledger.approval_id AND audit.digest = action_ledger.digest
           AND audit.kind = 'execution_begun')""",
    """SELECT 'approval ' || approval_id || ': what came of ' || tool || ' is not on record' AS told
       FROM action_ledger WHERE status <> 'begun' AND NOT EXISTS (SELECT 1 FROM audit
           WHERE audit.approval_id = action_ledger.approval_id AND audit.kind = 'execution_ended')""",
)
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
            # What is none of ours breaks the chain at its own row, which is then named.
            with suppress(ValueError, AttributeError, TypeError):
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
    """`python -m smart_support.audit verify | export`: check the record, or print it as JSON Lines.

    `verify` sees that every row follows from the one before it, that a row stands behind every approval,
    decision and execution, and with `--head` that the record still goes through a row it once had.

    Returns:
        0 where all of it is so, 1 where it is not, 2 where there is no record that can be read.
    """
    parser = argparse.ArgumentParser(prog="python -m smart_support.audit", description=main.__doc__)
    parser.add_argument("command", choices=["verify", "export"])
    parser.add_argument("--head", metavar="NUMBER:HASH", type=_head, help="as an earlier verify printed it")
    given = parser.parse_args(arguments)
    try:
        with reading(Settings()) as read:
            return _verify(read, given.head) if given.command == "verify" else _export(_rows(read))
    except ConfigError as error:
        print(error.message, file=sys.stderr)
        return 2


def _rows(read: Read, where: str = "true") -> Iterator[Row]:
    return read(f"SELECT * FROM audit WHERE {where} ORDER BY number", {})


def _verify(read: Read, wanted: tuple[int, str] | None) -> int:
    head: tuple[int, str] = 0, GENESIS
    hashes: dict[int, str] = {}

    def followed() -> Iterator[Mapping[str, Any]]:
        nonlocal head
        for row in _rows(read):
            head = row["number"], row["hash"]
            if wanted and row["number"] == wanted[0]:
                hashes.update({wanted[0]: row["hash"]})
            yield row

    broken = first_broken(followed(), blanked(_rows(read, f"kind IN ('{ERASED}', '{RETIRED}')")))
    if broken is not None:
        print(f"row {broken} does not follow from the row before it: the record was changed there or before")
        return 1
    if wanted and wanted[0] and hashes.get(wanted[0]) != wanted[1]:
        print(f"row {wanted[0]} with hash {wanted[1]} is not there: the record was cut off or made anew")
        return 1
    missing = [str(row["told"]) for statement in _NOT_ON_RECORD for row in read(statement, {})]
    if missing:
        print("\n".join(missing[:MOST_TOLD]))
        print(f"{len(missing)} facts without their row: the record was cut off or changed")
        return 1
    print(f"{head[0]} rows, each follows from the one before it")
    print(f"head {head[0]}:{head[1]}")
    return 0


def _head(text: str) -> tuple[int, str]:
    number, _, value = text.partition(":")
    if not number.isdecimal() or len(value) != len(GENESIS):
        raise argparse.ArgumentTypeError(f"{text!r} is not NUMBER:HASH, as verify prints it")
    return int(number), value


def _export(rows: Iterable[Mapping[str, Any]]) -> int:
    for row in rows:
        print(orjson.dumps(dict(row) | {"detail": _parsed(row["detail"])}).decode())
    return 0


def _parsed(detail: Any) -> Any:
    try:
        return orjson.loads(detail)
    except (orjson.JSONDecodeError, TypeError):
        return str(detail)  # somebody changed it; `verify` says where


if __name__ == "__main__":
    sys.exit(main())
