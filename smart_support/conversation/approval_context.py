"""What helps to decide an approval: the words before the request, and other calls about the same things."""

from dataclasses import dataclass
from typing import Any

from smart_support import clock
from smart_support.approvals.approval import Approval
from smart_support.approvals.queue import ApprovalQueue
from smart_support.conversation.sessions import SessionManager
from smart_support.events import Interrupt, Message
from smart_support.gate.gate import Gate
from smart_support.storage.events.base import EventStore

MAX_WORDS = 6
# How many event numbers before the end of a conversation are searched for the request.
MAX_EVENTS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalContext:
    """What stands beside an approval.

    Attributes:
        words: the last messages before the request, the oldest first: `{"at", "role", "by", "content"}`,
            where `role` is `customer`, `agent` or `colleague`.
        related: other approvals with how they are related; the closest first.
        changed_since: what is different now from what the request was judged on, as lines of a card; None
            where that can't be found out.
    """

    words: list[dict[str, Any]]
    related: list[dict[str, Any]]
    changed_since: list[dict[str, str]] | None


class ApprovalContexts:
    """Reads what stands beside an approval."""

    def __init__(
        self, approvals: ApprovalQueue, sessions: SessionManager, event_log: EventStore, gate: Gate
    ) -> None:
        self._approvals = approvals
        self._sessions = sessions
        self._event_log = event_log
        self._gate = gate

    async def get(self, approval_id: str) -> ApprovalContext:
        """The context of an approval.

        Raises:
            NotFound: there is no such approval.
        """
        approval = await self._approvals.get(approval_id)
        related = [
            {"relation": relation, "approval": other.wire()}
            for relation, other in await self._approvals.related(approval)
        ]
        changed = await self._gate.changes_since(approval)
        return ApprovalContext(words=await self._words(approval), related=related, changed_since=changed)

    async def _words(self, approval: Approval) -> list[dict[str, Any]]:
        session = await self._sessions.load(approval.thread_id)
        after = max(0, session.last_seq - MAX_EVENTS) if session else 0
        words: list[dict[str, Any]] = []
        for record in await self._event_log.read(approval.thread_id, after):
            event = record.event
            if isinstance(event, Interrupt) and event.approval_id == approval.approval_id:
                break
            if isinstance(event, Message):
                by = event.by or event.agent
                words.append(
                    {
                        "at": clock.rfc3339(record.happened_at),
                        "role": event.role,
                        "by": by,
                        "content": event.content,
                    }
                )
        return words[-MAX_WORDS:]
