"""What a monitor reads of this process: counters since its start, and what waits right now.

Labels take few values by design: no thread, no tool, no name that a model or a customer could make up.
"""

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from smart_support import clock
from smart_support.events import Decision, Escalation, Interrupt, MessageComplete, Record, ToolResult
from smart_support.storage.database import StateDatabase

__all__ = ["CONTENT_TYPE_LATEST", "Meters"]

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PENDING = "SELECT count(*) AS pending, min(requested_at) AS oldest FROM approvals WHERE status = 'pending'"


class Meters:
    """Counts the events of this process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        prefix = "smart_support"
        self._turns = Counter(f"{prefix}_turns", "Turns, by how they ended", ["end"], registry=registry)
        self._tokens = Counter(f"{prefix}_tokens", "Tokens of models", ["direction"], registry=registry)
        self._cost = Counter(f"{prefix}_cost_usd", "Price of models, where known", registry=registry)
        self._turn = Histogram(
            f"{prefix}_turn_seconds", "A turn, to its completion", buckets=_SECONDS, registry=registry
        )
        self._first = Histogram(
            f"{prefix}_first_token_seconds", "A turn, to its first token", buckets=_SECONDS, registry=registry
        )
        self._decisions = Counter(
            f"{prefix}_decisions", "Decided approvals", ["outcome", "door"], registry=registry
        )
        self._results = Counter(
            f"{prefix}_tool_results", "Results of tools", ["status", "error_class"], registry=registry
        )
        self._escalations = Counter(f"{prefix}_escalations", "Humans called", ["kind"], registry=registry)
        self._pending = Gauge(f"{prefix}_approvals_pending", "Approvals that wait", registry=registry)
        self._oldest = Gauge(
            f"{prefix}_approval_oldest_seconds", "How long the oldest of them has waited", registry=registry
        )
        self._waiting = Gauge(
            f"{prefix}_event_log_waiting", "Events not written to disk yet", registry=registry
        )

    def count(self, record: Record) -> None:
        """One event that is about to be recorded."""
        event = record.event
        if event.ends_turn:
            self._turns.labels(event.type).inc()
        if isinstance(event, MessageComplete | Interrupt):
            self._used(event.usage or {})
        if isinstance(event, MessageComplete):
            self._completed(event)
        elif isinstance(event, Decision):
            self._decisions.labels(event.outcome, record.channel or "system").inc()
        elif isinstance(event, ToolResult):
            self._results.labels(event.status, event.error_class or "").inc()
        elif isinstance(event, Escalation):
            self._escalations.labels(event.kind).inc()

    async def text(self, state: StateDatabase, waiting: int) -> bytes:
        """All of it in the text format of Prometheus.

        Args:
            waiting: events that the log has not written yet.
        """
        found = (await state.execute(_PENDING))[0]
        self._pending.set(found["pending"])
        oldest = found["oldest"]
        self._oldest.set((clock.now() - clock.parse(oldest)).total_seconds() if oldest else 0)
        self._waiting.set(waiting)
        return generate_latest(self._registry)

    def _completed(self, event: MessageComplete) -> None:
        self._turn.observe(event.duration_ms / 1000)
        if event.first_token_ms is not None:
            self._first.observe(event.first_token_ms / 1000)

    def _used(self, usage: Mapping[str, Any]) -> None:
        self._tokens.labels("input").inc(usage.get("input_tokens") or 0)
        self._tokens.labels("output").inc(usage.get("output_tokens") or 0)
        self._cost.inc(usage.get("cost_usd") or 0)
