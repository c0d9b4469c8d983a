"""Claims and notes: how people share the work on pending approvals."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from smart_support import audit, clock
from smart_support.approvals.approval import Approval, whole_text
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.reader import load
from smart_support.errors import AlreadyClaimed, InvalidRequest
from smart_support.storage.state.base import Connection, StateDatabase, on_approval

CLAIM = timedelta(minutes=5)
MAX_NOTE_CHARS = 2000


class Claims:
    """Claims, releases and notes of approvals; each is recorded in the audit trail."""

    def __init__(self, state: StateDatabase, queue: ApprovalQueue) -> None:
        self._state = state
        self._queue = queue

    async def claim(self, approval_id: str, *, by: str, via: str) -> Approval:
        """Claim an approval for five minutes; claiming it again starts them anew.

        A claim is shown to others and does not keep them from deciding, so that urgent cases never wait.

        Raises:
            AlreadyClaimed: somebody else holds it; says who, and until when.
            AlreadyDecided, ApprovalExpired, NotFound: there is nothing to work on.
        """

        def work(connection: Connection) -> None:
            approval = _pending(connection, approval_id)
            if approval.holder not in (None, by):
                raise AlreadyClaimed(approval_id, approval.holder or "", approval.claimed_until or "")
            until = clock.rfc3339(clock.now() + CLAIM)
            _set(connection, approval_id, by, until)
            _record(connection, "claimed", approval, by, via, {"until": until})

        return await self._changed(approval_id, work)

    async def release(self, approval_id: str, *, by: str, via: str) -> Approval:
        """Release a claim; an approval that nobody has claimed stays as it is.

        Raises:
            AlreadyClaimed: somebody else holds it.
            AlreadyDecided, ApprovalExpired, NotFound: there is nothing to work on.
        """

        def work(connection: Connection) -> None:
            approval = _pending(connection, approval_id)
            if approval.holder is None:
                return
            if approval.holder != by:
                raise AlreadyClaimed(approval_id, approval.holder, approval.claimed_until or "")
            _set(connection, approval_id, None, None)
            _record(connection, "released", approval, by, via, {})

        return await self._changed(approval_id, work)

    async def note(self, approval_id: str, text: str, *, by: str, via: str) -> Approval:
        """Add a note, which stays in the approval's history.

        Raises:
            InvalidRequest: it is empty or too long.
            NotFound: there is no such approval.
        """
        if not whole_text("note", text, MAX_NOTE_CHARS).strip():
            raise InvalidRequest("note: give some text, not only white space")

        def work(connection: Connection) -> None:
            approval = load(connection, approval_id)
            connection.execute(
                "UPDATE approvals SET notes = notes + 1 WHERE approval_id = :id", {"id": approval_id}
            )
            fields = {"approval": {"notes": approval.notes + 1}}
            _record(connection, "noted", approval, by, via, {"text": text.strip()}, fields)

        return await self._changed(approval_id, work)

    async def _changed(self, approval_id: str, work: Callable[[Connection], None]) -> Approval:
        await self._state.transact(work, on=[on_approval(approval_id)])
        return await self._queue.changed(approval_id)


def _pending(connection: Connection, approval_id: str) -> Approval:
    approval = load(connection, approval_id)
    if approval.status != "pending":
        raise approval.refusal()
    return approval


def _set(connection: Connection, approval_id: str, by: str | None, until: str | None) -> None:
    connection.execute(
        "UPDATE approvals SET claimed_by = :by, claimed_until = :until WHERE approval_id = :id",
        {"id": approval_id, "by": by, "until": until},
    )


def _record(
    connection: Connection,
    kind: str,
    approval: Approval,
    by: str,
    via: str,
    detail: dict[str, str],
    fields: dict[str, Any] | None = None,
) -> None:
    ids = {"thread_id": approval.thread_id, "approval_id": approval.approval_id, "digest": approval.digest}
    audit.append(connection, kind, actor=by, via=via, detail=detail, fields=fields, **ids)
