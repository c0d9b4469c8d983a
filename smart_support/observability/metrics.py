"""What a monitor reads of this process: counters since its start, and what waits right now.

Labels take few values by design: no thread, no tool, no name that a model or a customer could make up.
"""

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector

from smart_support import clock
from smart_support.events import Decision, Escalation, Interrupt, MessageComplete, Record, ToolResult
from smart_support.storage.state.base import StateDatabase

__all__ = ["CONTENT_TYPE_LATEST", "Meters"]

_PREFIX = "smart_support"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PENDING = "SELECT count(*) AS pending, min(requested_at) AS oldest FROM approvals WHERE status = 'pending'"
_UNDELIVERED = "SELECT count(*) AS n FROM escalations WHERE status IN ('sending', 'failed')"
_ON_RECORD = "SELECT coalesce(max(number), 0) AS n FROM audit"
_UNHANDLED = "SELECT count(*) AS n FROM escalations WHERE handled_by IS NULL"


class Meters:
    """Counts the events of this process."""

    def __init__(self, version: str) -> None:
        self._registry = registry = CollectorRegistry()
        # Start time, memory, CPU and open files, by the names they have everywhere.
        ProcessCollector(registry=registry)
        Info(f"{_PREFIX}_build", "What runs", registry=registry).info({"version": version})

        def counter(name: str, told: str, *labels: str) -> Counter:
            return Counter(f"{_PREFIX}_{name}", told, labels, registry=registry)

        def gauge(name: str, told: str) -> Gauge:
            return Gauge(f"{_PREFIX}_{name}", told, registry=registry)

        def seconds(name: str, told: str, *labels: str) -> Histogram:
            return Histogram(f"{_PREFIX}_{name}_seconds", told, labels, registry=registry, buckets=_SECONDS)

        self._turns = counter("turns", "Turns, by how they ended", "end")
        self._tokens = counter("tokens", "Tokens of models", "direction")
        self._cost = counter("cost_usd", "Price of models, where known")
        self._decisions = counter("decisions", "Decided approvals", "outcome", "door")
        self._results = counter("tool_results", "Results of tools", "status", "error_class")
        self._escalations = counter("escalations", "Humans called", "kind")
        self._turn = seconds("turn", "A turn, to its completion")
        self._first = seconds("first_token", "A turn, to its first token")
        self._tool = seconds("tool", "A call of a tool, where it ran")
        self._request = seconds("request", "An answered REST request", "method", "route", "status")
        self._pending = gauge("approvals_pending", "Approvals that wait")
        self._oldest = gauge("approval_oldest_seconds", "How long the oldest of them has waited")
        self._waiting = gauge("event_log_waiting", "Events not written to disk yet")
        self._lag = gauge("event_log_lag_seconds", "How long the oldest of them has waited")
        self._undelivered = gauge("escalations_undelivered", "Escalations that the webhook has not taken")
        self._unhandled = gauge("escalations_unhandled", "Escalations that nobody has seen to")
        self._on_record = gauge("audit_rows", "Rows of the audit record; it never falls")
        self._running = gauge("turns_running", "Turns that run, or wait for the one before them")
        self._sockets = gauge("sockets_open", "Open sockets")

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
            if event.duration_ms is not None:
                self._tool.observe(event.duration_ms / 1000)
        elif isinstance(event, Escalation):
            self._escalations.labels(event.kind).inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One REST request; `route` is its template, so that no id becomes a label."""
        self._request.labels(method, route, str(status)).observe(seconds)

    async def text(
        self, state: StateDatabase, *, waiting: int, lag_seconds: float, running: int, sockets: int
    ) -> bytes:
        """All of it in the text format of Prometheus.

        Args:
            waiting: events that the log has not written yet, and `lag_seconds`: for how long the oldest.
            running: turns; sockets: open ones.
        """
        found = (await state.read(_PENDING))[0]
        oldest = found["oldest"]
        self._pending.set(found["pending"])
        self._oldest.set((clock.now() - clock.parse(oldest)).total_seconds() if oldest else 0)
        self._undelivered.set((await state.read(_UNDELIVERED))[0]["n"])
        self._on_record.set((await state.read(_ON_RECORD))[0]["n"])
        self._unhandled.set((await state.read(_UNHANDLED))[0]["n"])
        self._waiting.set(waiting)
        self._lag.set(lag_seconds)
        self._running.set(running)
        self._sockets.set(sockets)
        return generate_latest(self._registry)

    def _completed(self, event: MessageComplete) -> None:
        self._turn.observe(event.duration_ms / 1000)
        if event.first_token_ms is not None:
            self._first.observe(event.first_token_ms / 1000)

    def _used(self, usage: Mapping[str, Any]) -> None:
        self._tokens.labels("input").inc(usage.get("input_tokens") or 0)
        self._tokens.labels("output").inc(usage.get("output_tokens") or 0)
        self._cost.inc(usage.get("cost_usd") or 0)
