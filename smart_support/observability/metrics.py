"""Prometheus metrics of this process: counters since its start, and gauges of what waits now.

Labels have few values by design: no thread, no tool, no name that a model or a customer could make up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector

from smart_support.events import (
    Decision,
    Escalation,
    Failure,
    Interrupt,
    MessageComplete,
    Record,
    ToolResult,
)

__all__ = ["CONTENT_TYPE_LATEST", "Gauges", "Meters"]

_PREFIX = "smart_support"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_GAUGES = {
    "approvals_pending": "Approvals that wait",
    "approval_oldest_seconds": "How long the oldest of them has waited",
    "approvals_parked": "Approved calls that wait for the end of a freeze",
    "freezes": "Freezes in effect",
    "event_log_waiting": "Events not written to disk yet",
    "event_log_lag_seconds": "How long the oldest of them has waited",
    "escalations_undelivered": "Escalations that the webhook has not accepted",
    "escalations_unhandled": "Escalations that nobody has handled",
    "notifications_waiting": "Notifications that are not delivered yet",
    "notifications_failed": "Notifications for which no attempt is left",
    "audit_rows": "Rows of the audit trail; it never falls",
    "turns_running": "Turns that run or wait",
    "turns_waiting": "Those of them that wait because too many turns run",
    "sockets_open": "Open sockets",
}


@dataclass(frozen=True, slots=True)
class Gauges:
    """The values of the gauges, by the names of the metrics without the prefix. Described in `_GAUGES`."""

    approvals_pending: int
    approval_oldest_seconds: float
    approvals_parked: int
    freezes: int
    event_log_waiting: int
    event_log_lag_seconds: float
    escalations_undelivered: int
    escalations_unhandled: int
    notifications_waiting: int
    notifications_failed: int
    audit_rows: int
    turns_running: int
    turns_waiting: int
    sockets_open: int


class Meters:
    """Counts the events and requests of this process."""

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        # Start time, memory, CPU and open files, by their standard names.
        ProcessCollector(registry=registry)
        Info(f"{_PREFIX}_build", "What runs", registry=registry).info({"version": version})

        def counter(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(f"{_PREFIX}_{name}", help_text, labels, registry=registry)

        def seconds(name: str, help_text: str, *labels: str) -> Histogram:
            metric = f"{_PREFIX}_{name}_seconds"
            return Histogram(metric, help_text, labels, registry=registry, buckets=_SECONDS)

        self._turns = counter("turns", "Turns, by how they ended", "end")
        self._refused = counter("turns_refused", "Messages refused because too many turns ran")
        self._unanswered = counter("unanswered", "Turns without a whole answer of a model", "reason")
        self._tokens = counter("tokens", "Tokens of models", "direction")
        self._cost = counter("cost_usd", "Price of models, where known")
        self._decisions = counter("decisions", "Decided approvals", "outcome", "door")
        self._results = counter("tool_results", "Results of tools", "status", "error_class")
        self._escalations = counter("escalations", "Humans called", "kind")
        self._notifications = counter(
            "notifications", "Attempts to deliver a notification", "target_type", "outcome"
        )
        self._turn = seconds("turn", "A turn, to its completion")
        self._first = seconds("first_token", "A turn, to its first token")
        self._tool = seconds("tool", "A call of a tool, where it ran")
        self._request = seconds("request", "An answered REST request", "method", "route", "status")
        self._gauges = {
            name: Gauge(f"{_PREFIX}_{name}", help_text, registry=registry)
            for name, help_text in _GAUGES.items()
        }

    def count(self, record: Record) -> None:
        """Count an event that is being recorded."""
        event = record.event
        if event.ends_turn:
            self._turns.labels(event.type).inc()
        if isinstance(event, MessageComplete | Interrupt):
            self._count_usage(event.usage or {})
        if isinstance(event, MessageComplete | Failure) and (reason := _reason(event)):
            self._unanswered.labels(reason).inc()
        if isinstance(event, MessageComplete):
            self._observe_turn(event)
        elif isinstance(event, Decision):
            self._decisions.labels(event.outcome, record.channel or "system").inc()
        elif isinstance(event, ToolResult):
            self._results.labels(event.status, event.error_class or "").inc()
            if event.duration_ms is not None:
                self._tool.observe(event.duration_ms / 1000)
        elif isinstance(event, Escalation):
            self._escalations.labels(event.kind).inc()

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a REST request. `route` is the route's template, so that no id becomes a label."""
        self._request.labels(method, route, str(status)).observe(seconds)

    def count_notification(self, target_type: str, outcome: str) -> None:
        """Count an attempt to deliver a notification: `delivered`, `retried`, `failed` or `skipped`."""
        self._notifications.labels(target_type, outcome).inc()

    def count_refused_turn(self) -> None:
        """Count a message whose turn got no place in time."""
        self._refused.inc()

    def text(self, gauges: Gauges) -> bytes:
        """All metrics in the text format of Prometheus."""
        for field in fields(gauges):
            self._gauges[field.name].set(getattr(gauges, field.name))
        return generate_latest(self.registry)

    def _observe_turn(self, event: MessageComplete) -> None:
        self._turn.observe(event.duration_ms / 1000)
        if event.first_token_ms is not None:
            self._first.observe(event.first_token_ms / 1000)

    def _count_usage(self, usage: Mapping[str, Any]) -> None:
        self._tokens.labels("input").inc(usage.get("input_tokens") or 0)
        self._tokens.labels("output").inc(usage.get("output_tokens") or 0)
        self._cost.inc(usage.get("cost_usd") or 0)


def _reason(event: MessageComplete | Failure) -> str | None:
    return event.incomplete if isinstance(event, MessageComplete) else event.reason
