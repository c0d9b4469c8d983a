"""The audit trail: append-only rows, each with a hash over the row before it.

docs/audit.md says how a row is made and checked, for whoever writes a verifier of their own.
"""

import argparse
import contextlib
import getpass
import hashlib
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson
import rfc8785

from smart_support import clock
from smart_support.audit_consistency import differences
from smart_support.canonical_json import canonical
from smart_support.errors import ConfigError
from smart_support.identity.account_names import COMMAND_LINE
from smart_support.settings import Settings
from smart_support.storage.state.base import (
    GENESIS,
    ChainedRow,
    Connection,
    Row,
    StateDatabase,
    in_clause,
)
from smart_support.storage.state.read_only import Read, open_read_only
from smart_support.storage.state.sqlite import SqliteStateDatabase

ERASED, RETIRED, SEALED = "erased", "retired", "sealed"
MOST_SHOWN = 20
FORM = 2
_NOTHING = "{}"
_SALT_BYTES = 16
_IDENTITY = ("number", "at", "kind", "actor", "via", "thread_id", "approval_id", "event_id", "digest")
# What the hash of a row covers, by its form.
_COVERED = {1: (*_IDENTITY, "detail"), 2: ("form", *_IDENTITY, "fields", "detail_hash")}


class AuditTrail:
    """Writes single rows, each in a transaction of its own."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state

    async def record(self, kind: str, *, by: str, via: str, **detail: Any) -> None:
        """Record that `by` did something through the interface `via`.

        Args:
            detail: what exactly. Never a secret, nor anything that a customer wrote.
        """
        await self._state.transact(lambda c: append(c, kind, actor=by, via=via, detail=detail), on=())


def record_command(settings: Settings, kind: str, **detail: Any) -> None:
    """Record what somebody did with a command, whether the app runs or not.

    Raises:
        ConfigError: the database can't be opened.
    """
    with contextlib.suppress(OSError, KeyError):  # a user id without a name
        detail |= {"os_user": getpass.getuser()}
    state: StateDatabase
    if settings.database_url:
        from smart_support.storage.state.postgres import PostgresStateDatabase

        state = PostgresStateDatabase(settings.database_url)
    else:
        state = SqliteStateDatabase(settings.data_dir / "state.sqlite")
    with contextlib.closing(state):
        state.transact_now(lambda c: append(c, kind, actor=COMMAND_LINE, via="command", detail=detail))


def append(
    connection: Connection,
    kind: str,
    *,
    actor: str,
    via: str,
    thread_id: str | None = None,
    approval_id: str | None = None,
    event_id: str | None = None,
    digest: str | None = None,
    fields: Mapping[str, Any] | None = None,
    detail: Mapping[str, Any] | None = None,
) -> str:
    """Write one row in the caller's transaction, so that it stands exactly when the fact does.

    Args:
        kind: what happened: `requested`, `decided`, `execution_begun`, `execution_ended`, `erased`...
        actor: who did it; `via`: the interface it came through.
        event_id: of the event of the same fact; a new one where none is given.
        fields: what this step wrote into other tables, by table and column; it stays when the rest is erased.
        detail: more facts, as JSON; with what people wrote, and gone when that is erased.

    Returns:
        The id for the event of the same fact; the row is that event's outbox.
    """
    if kind != SEALED and connection.form_of_audit() == 1:
        _seal(connection)
    row: Row = {
        "form": FORM,
        "at": clock.rfc3339(clock.now()),
        "kind": kind,
        "actor": actor,
        "via": via,
        "thread_id": thread_id,
        "approval_id": approval_id,
        "event_id": event_id or clock.new_id(),
        "digest": digest,
        "fields": canonical(dict(fields or {})).decode(),
        "detail": canonical(dict(detail or {})).decode(),
        "salt": secrets.token_hex(_SALT_BYTES),
    }
    # Postgres can't hold a NUL in a text; the hash has to be over what is kept.
    row |= {name: value.replace("\x00", "␀") for name, value in row.items() if isinstance(value, str)}
    row["detail_hash"] = detail_hash(row["salt"], row["detail"])
    connection.append_to_audit(ChainedRow(row, *_around_number(row)))
    return str(row["event_id"])


def detail_hash(salt: str, detail: str) -> str:
    """SHA-256 of salt and detail, in hexadecimal. Without the salt, no detail can be guessed from it."""
    return hashlib.sha256(f"{salt}{detail}".encode()).hexdigest()


def _around_number(row: Mapping[str, Any]) -> tuple[str, str]:
    """The canonical JSON of a row of the second form before and after its number, which is not known yet."""
    covered = sorted(name for name in _COVERED[FORM] if name != "number")
    before = canonical({name: row[name] for name in covered if name < "number"}).decode()
    after = canonical({name: row[name] for name in covered if name > "number"}).decode()
    return f'{before[:-1]},"number":', f",{after[1:]}"


def chained(previous: str, row: Mapping[str, Any]) -> str:
    """SHA-256 over the previous row's hash and this row's canonical JSON, in hexadecimal."""
    body = canonical({name: row[name] for name in _COVERED[row.get("form", 1)]})
    return hashlib.sha256(previous.encode() + body).hexdigest()


def blank(connection: Connection, thread_ids: Sequence[str], **row: Any) -> None:
    """Delete the detail of all rows of these threads, in the caller's transaction; a new row lists them.

    Their hashes stay as they are: they cover the detail's hash, or for rows of the first form the seal covers
    all of the row but the detail.

    Args:
        row: of the new row: its `kind`, `actor`, `via` and `detail`, as of `append`.
    """
    among, threads = in_clause("thread", thread_ids)
    rows = connection.execute(
        f"SELECT number FROM audit WHERE thread_id IN {among} AND detail <> :nothing ORDER BY number",
        threads | {"nothing": _NOTHING},
    )
    connection.execute(
        f"""UPDATE audit SET detail = :nothing, salt = NULL
            WHERE thread_id IN {among} AND detail <> :nothing""",
        threads | {"nothing": _NOTHING},
    )
    detail = dict(row.pop("detail", {})) | {"blanked": [one["number"] for one in rows]}
    append(connection, row.pop("kind"), detail=detail, **row)


@dataclass(frozen=True, slots=True)
class Blanked:
    """A row whose detail was erased. `by`: the number of the row that says so; `hash`: see `blanked`."""

    by: int
    hash: str | None = None


def blanked(rows: Iterable[Mapping[str, Any]]) -> dict[int, Blanked]:
    """Which rows were blanked, by their numbers, as the rows that erased them say.

    A row of the first form says what the hash of each blanked row is without its detail; one of the second
    form lists numbers alone, and nothing it says lets another field change.
    """
    noted: dict[int, Blanked] = {}
    for row in rows:
        if row["kind"] in (ERASED, RETIRED):
            said = _parsed(row["detail"])
            listed_rows = said.get("blanked") if isinstance(said, dict) else None
            by, form = row["number"], row.get("form", 1)
            if form == 1 and isinstance(listed_rows, dict):
                noted |= {
                    int(one): Blanked(by, str(hash_)) for one, hash_ in listed_rows.items() if one.isdecimal()
                }
            elif form == FORM and isinstance(listed_rows, list):
                noted |= {one: Blanked(by) for one in listed_rows if isinstance(one, int)}
    return noted


@dataclass(slots=True)
class _Chain:
    """What is known while the rows are followed, from the first to the last."""

    blanked: Mapping[int, Blanked]
    number: int = 0
    hash: str = GENESIS
    form: int = 1
    seal: Any = field(default_factory=hashlib.sha256)
    whole_from: dict[str, int] = field(default_factory=dict)
    erased_until: dict[str, int] = field(default_factory=dict)

    def follow(self, row: Mapping[str, Any]) -> bool:
        """Whether a row follows from the one before it; then it is the last one."""
        try:
            fits = self._fits(row)
        except (rfc8785.CanonicalizationError, AttributeError, KeyError, TypeError, ValueError):
            return False  # a value that none of ours ever was
        self.number, self.hash, self.form = row["number"], row["hash"], row.get("form", 1)
        return fits

    def half_erased(self) -> str | None:
        """A thread of which only some of the rows were blanked; erasing blanks all that are there."""
        for thread_id, by in self.erased_until.items():
            if self.whole_from.get(thread_id, by) < by:
                return thread_id
        return None

    def _fits(self, row: Mapping[str, Any]) -> bool:
        form = row.get("form", 1)
        erased = self.blanked.get(row["number"])
        is_blank = erased is not None and erased.by > row["number"] and row["detail"] == _NOTHING
        self._note(row, erased if is_blank else None)
        if row["number"] != self.number + 1 or form not in _COVERED or form < self.form:
            return False
        if form == 1:
            self.seal.update(_sealed(row))
            known = {erased.hash, row["hash"]} if is_blank and erased else {row["hash"]}
            # One that was blanked after the seal is covered by that, but for its detail.
            return chained(self.hash, row) in known or bool(is_blank and erased and erased.hash is None)
        if self.form == 1 and self.number and not self._is_seal(row):
            return False
        if is_blank:
            says_the_same = row["salt"] is None
        else:
            says_the_same = row["detail_hash"] == detail_hash(row["salt"], row["detail"])
        return says_the_same and chained(self.hash, row) == row["hash"]

    def _is_seal(self, row: Mapping[str, Any]) -> bool:
        fields = {"rows": self.number, "sha256": self.seal.hexdigest()}
        return bool(row["kind"] == SEALED and row["fields"] == canonical(fields).decode())

    def _note(self, row: Mapping[str, Any], erased: Blanked | None) -> None:
        if (thread_id := row["thread_id"]) is None:
            return
        if erased:
            self.erased_until[thread_id] = max(erased.by, self.erased_until.get(thread_id, 0))
        elif row["detail"] != _NOTHING:
            self.whole_from.setdefault(thread_id, row["number"])


def first_broken(
    rows: Iterable[Mapping[str, Any]], erased: Mapping[int, Blanked] | None = None
) -> int | None:
    """The number of the first row that does not follow from the one before it, or None.

    Args:
        erased: what `blanked` gives for the same rows.
    """
    chain = _Chain(erased or {})
    return next((int(row["number"]) for row in rows if not chain.follow(row)), None)


def _seal(connection: Connection) -> None:
    """Before the first row of the second form: cover the older rows once more, each without its detail."""
    rows = connection.execute("SELECT * FROM audit ORDER BY number")
    seal = hashlib.sha256(b"".join(_sealed(row) for row in rows)).hexdigest()
    append(connection, SEALED, actor="system", via="system", fields={"rows": len(rows), "sha256": seal})


def _sealed(row: Mapping[str, Any]) -> bytes:
    return bytes(canonical({name: row[name] for name in _IDENTITY})) + b"\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m smart_support.audit verify | export`: check the record, or print it as JSON Lines.

    `verify` sees that every row follows from the one before it, that the approvals and the ledger are what
    the rows say, and with `--head` that the record still goes through a row it once had.

    Returns:
        0 where all of it is so, 1 where it is not, 2 where there is no record that can be read.
    """
    parser = argparse.ArgumentParser(prog="python -m smart_support.audit", description=main.__doc__)
    parser.add_argument("command", choices=["verify", "export"])
    parser.add_argument("--head", metavar="NUMBER:HASH", type=_head, help="as an earlier verify printed it")
    given = parser.parse_args(arguments)
    settings = Settings()
    try:
        if given.command == "export":
            with open_read_only(settings) as read:  # one that can't be read is not written to
                next(_rows(read), None)
            record_command(settings, "audit_exported")
        with open_read_only(settings) as read:
            return _verify(read, given.head) if given.command == "verify" else _export(_rows(read))
    except ConfigError as error:
        print(error.message, file=sys.stderr)
        return 2


def _rows(read: Read, where: str = "true") -> Iterator[Row]:
    return read(f"SELECT * FROM audit WHERE {where} ORDER BY number", {})


def _verify(read: Read, head: tuple[int, str] | None) -> int:
    erased = blanked(_rows(read, f"kind IN ('{ERASED}', '{RETIRED}')"))
    chain, passed = _Chain(erased), head is None or head == (0, GENESIS)
    for row in _rows(read):
        if not chain.follow(row):
            print(
                f"row {row['number']} does not follow from the row before it: "
                "the record was changed there or before"
            )
            return 1
        passed = passed or (row["number"], row["hash"]) == head
    if not passed and head:
        print(f"row {head[0]} with hash {head[1]} is not there: the record was cut off or made anew")
        return 1
    if thread_id := chain.half_erased():
        print(f"thread {thread_id}: only some of its rows were erased: the record was changed")
        return 1
    differing = differences(read, erased.keys())
    shown = list(islice(differing, MOST_SHOWN))
    if shown:
        print("\n".join(shown))
        more = " and more" if next(differing, None) else ""
        print(f"{len(shown)}{more} differences between the record and what it is of: one of them was changed")
        return 1
    print(f"{chain.number} rows, each follows from the one before it")
    print(f"head {chain.number}:{chain.hash}")
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
