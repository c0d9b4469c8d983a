"""Erases conversations: those of a customer on request, and those older than they are kept.

The audit trail keeps, without content, that something was requested and decided, when, by whom, and the
digest of the call. The systems that tools reach keep what they know of a customer.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, Literal

from smart_support import audit, clock
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.queue import ApprovalQueue
from smart_support.audit_consistency import ERASED_APPROVAL, ERASED_LEDGER, without_reasons
from smart_support.conversation.graph_adapter.checkpoints import Checkpoints
from smart_support.conversation.sessions import SessionManager
from smart_support.conversation.turn_runner import TurnRunner
from smart_support.errors import NotFound, SmartSupportError
from smart_support.observability.log import get_logger
from smart_support.storage.answer_files import AnswerFiles
from smart_support.storage.events.base import EventStore
from smart_support.storage.state.base import Connection, StateDatabase, in_clause

log = get_logger()
Compaction = Literal["none", "running", "done", "failed"]
AT_ONCE = 200
_DAY_SECONDS = 86_400
_OF_CUSTOMER = """
    SELECT thread_id FROM sessions WHERE customer_id = :customer
    UNION SELECT thread_id FROM sessions WHERE bound_customer = :customer
    UNION SELECT thread_id FROM approvals WHERE customer_id = :customer
"""
# What people or agents wrote. Ids, names of actions, times, and who decided stay.
_STATEMENTS = (
    """UPDATE escalations SET reason = '(erased)', error = NULL WHERE thread_id IN {among}""",
    "DELETE FROM model_use WHERE share IN {among}",
    "DELETE FROM conversation_notes WHERE thread_id IN {among}",
    "UPDATE policy_runs SET customer_id = NULL WHERE thread_id IN {among}",
    "DELETE FROM actions WHERE thread_id IN {among}",
    # They hold no words. What still waits must not be sent any more.
    "DELETE FROM notifications WHERE thread_id IN {among}",
    "DELETE FROM sessions WHERE thread_id IN {among}",
)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased. `compaction` says whether its bytes are out of the files, too, which takes longer."""

    conversations: int
    approvals: int
    compaction: Compaction


class Erasure:
    """Erases conversations, for good."""

    def __init__(
        self,
        *,
        state: StateDatabase,
        event_log: EventStore,
        sessions: SessionManager,
        turns: TurnRunner,
        approvals: ApprovalQueue,
        checkpoints: Checkpoints | None,
        keep_days: float,
        due: Path,
        files: AnswerFiles,
    ) -> None:
        """
        Args:
            checkpoints: None where a foreign graph keeps its own.
            keep_days: how long a conversation is kept after its last event; 0 is for ever.
            due: a file that exists while a compaction is due, also over a restart.
            files: binary answers of tools.
        """
        self._state = state
        self._log = event_log
        self._sessions = sessions
        self._turns = turns
        self._approvals = approvals
        self._checkpoints = checkpoints
        self._keep = timedelta(days=keep_days)
        self._due = due
        self._files = files
        self._compacting: asyncio.Task[None] | None = None
        self._again = False
        self.compaction: Compaction = "none"

    async def customer(self, customer_id: str, *, by: str, via: str) -> Erased:
        """Erase every conversation that names this customer, with all that it holds of others.

        Pending approvals are rejected first, so that none of their calls can run.

        Raises:
            NotFound: there is no conversation of that customer.
        """
        threads = await self._threads_of(customer_id)
        if not threads:
            raise NotFound(
                f"customer {customer_id[:128]!r}: no conversation of theirs is on record; see "
                "customer_id in GET /api/v1/conversations"
            )
        name = hashlib.sha256(customer_id.encode()).hexdigest()
        entry = {"kind": audit.ERASED, "actor": by, "via": via, "detail": {"customer_sha256": name}}
        return await self._erase(threads, by, via, entry)

    async def threads(self, thread_ids: Sequence[str], *, by: str, via: str) -> Erased:
        """Erase these conversations."""
        return await self._erase(thread_ids, by, via, {"kind": audit.ERASED, "actor": by, "via": via})

    async def retire_forever(self) -> None:
        """Erase old conversations once a day; returns at once where all are kept for ever."""
        while self._keep:
            try:
                await self.retire()
            except Exception as error:
                log.error("retention_failed", error=repr(error))
            await asyncio.sleep(_DAY_SECONDS)

    async def retire(self) -> int:
        """Erase conversations whose last event is older than they are kept; returns their number."""
        before = (clock.now() - self._keep).astimezone(UTC).replace(tzinfo=None)
        rows = await self._log.summaries.query(
            "SELECT thread_id FROM conversations WHERE last_at < $before AND NOT waiting ORDER BY last_at",
            {"before": before},
        )
        threads = [str(row["thread_id"]) for row in rows]
        detail = {"before": clock.rfc3339(before.replace(tzinfo=UTC))}
        for start in range(0, len(threads), AT_ONCE):
            entry = {"kind": audit.RETIRED, "actor": "system", "via": "system", "detail": detail}
            await self._erase(threads[start : start + AT_ONCE], "system", "system", entry)
        return len(threads)

    def resume_compaction(self) -> None:
        """Start the compaction that a crash cut off, if there is one."""
        if self._due.exists():
            self._compact()

    async def close(self) -> None:
        """Wait until a running compaction ends."""
        if self._compacting:
            await asyncio.wait([self._compacting])

    async def _threads_of(self, customer_id: str) -> list[str]:
        rows = await self._state.read(_OF_CUSTOMER, {"customer": customer_id})
        rows += await self._log.query(
            "SELECT DISTINCT thread_id FROM events WHERE customer_id = $customer", {"customer": customer_id}
        )
        return sorted({str(row["thread_id"]) for row in rows})

    async def _erase(self, threads: Sequence[str], by: str, via: str, entry: dict[str, Any]) -> Erased:
        for thread_id in threads:
            await self._stop(thread_id, by, via)
        rows = await self._state.read("SELECT thread_id, aside FROM sessions WHERE aside IS NOT NULL")
        side_threads = [row["aside"] for row in rows if row["thread_id"] in set(threads)]
        if self._checkpoints:
            for thread_id in (*threads, *side_threads):
                await self._checkpoints.delete_thread(thread_id)
        await asyncio.to_thread(self._files.erase, (*threads, *side_threads))
        await self._log.erase(threads)
        approvals = await self._state.transact(lambda connection: blank(connection, threads, entry))
        for thread_id in threads:
            self._sessions.notify(thread_id)
        log.info("conversations_erased", conversations=len(threads), why=entry["kind"])
        self._compact()
        return Erased(len(threads), approvals, self.compaction)

    async def _stop(self, thread_id: str, by: str, via: str) -> None:
        """Reject what is pending on a thread, and wait until nothing runs there."""
        for approval in await self._approvals.of_thread(thread_id):
            if approval.status == "pending":
                try:
                    why = "The conversation is erased."
                    decision = DecisionInput("reject", decided_by=by, via=via, reason=why)
                    await self._turns.decide(approval.approval_id, decision)
                except SmartSupportError as error:
                    log.info("already_decided", approval_id=approval.approval_id, error=error.message)
        async for _ in self._turns.follow(thread_id):
            pass

    def _compact(self) -> None:
        self._due.touch()
        if self._compacting and not self._compacting.done():
            self._again = True
            return
        self.compaction, self._again = "running", False
        self._compacting = asyncio.create_task(self._compacted())

    async def _compacted(self) -> None:
        try:
            async with self._log.copying:
                await self._state.compact()
                if self._checkpoints:
                    await self._checkpoints.compact()
                await self._log.compact()
        except Exception as error:
            log.error("compaction_failed", error=repr(error))
            self.compaction = "failed"
            return
        if self._again:
            self._again = False
            await self._compacted()
        else:
            self._due.unlink(missing_ok=True)
            self.compaction = "done"


def blank(connection: Connection, threads: Sequence[str], entry: dict[str, Any]) -> int:
    """Blank the content of the threads in the state database; `entry` is the audit trail's, of the erasure.

    Returns:
        How many approvals they had.
    """
    among, given = in_clause("thread", threads)
    counted = connection.execute(
        f"SELECT count(*) AS approvals FROM approvals WHERE thread_id IN {among}", given
    )
    for table, emptied in (("approvals", ERASED_APPROVAL), ("action_ledger", ERASED_LEDGER)):
        columns = ", ".join(f"{name} = :{name}" for name in emptied)
        connection.execute(f"UPDATE {table} SET {columns} WHERE thread_id IN {among}", given | emptied)
    votes = f"SELECT approval_id, votes FROM approvals WHERE thread_id IN {among} AND votes <> '[]'"
    for row in connection.execute(votes, given):
        row["votes"] = without_reasons(row["votes"])
        connection.execute("UPDATE approvals SET votes = :votes WHERE approval_id = :approval_id", row)
    for statement in _STATEMENTS:
        connection.execute(statement.format(among=among), given)
    count = int(counted[0]["approvals"])
    detail = {"conversations": len(threads), "approvals": count, **entry.get("detail", {})}
    audit.blank(connection, threads, **entry | {"detail": detail})
    return count
