"""OpenTelemetry traces, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set; otherwise nothing is imported.

Spans have ids (request, thread, turn, approval), names and durations, never content. The other standard
variables (`OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`) apply too.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import structlog

from smart_support.errors import ConfigError
from smart_support.observability.redaction import redacted

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_IDS = ("request_id", "thread_id", "turn_id", "approval_id")
_NOTHING: AbstractContextManager[None] = nullcontext()
# Paths hold ids of customers, and queries hold search terms. The template of the route is kept instead.
_REMOVED = ("url.path", "url.query")
_tracer: Any = None


def configure(version: str) -> None:
    """Start tracing if the environment names a collector. Has an effect once in a process.

    Raises:
        ConfigError: the environment sets a protocol that is not supported.
    """
    global _tracer
    endpoint = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if _tracer is not None or endpoint is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    for name in _PROTOCOLS:
        if os.environ.get(name, "http/protobuf") not in ("", "http/protobuf"):
            raise ConfigError(
                f"{name}={os.environ[name]}: only http/protobuf is supported; remove it, and set the "
                f"collector's HTTP port (usually 4318) in {endpoint}"
            )
    _tracer = _provider(version).get_tracer("smart_support", version)


def close() -> None:
    """Export the remaining spans. Blocks; call it in a thread."""
    from opentelemetry import trace

    if _tracer is not None:
        trace.get_tracer_provider().force_flush(5000)  # type: ignore[attr-defined]


def enabled() -> bool:
    """Whether spans are exported."""
    return _tracer is not None


def span(name: str, **attributes: str | float | bool | None) -> AbstractContextManager[None]:
    """A span around a block. Costs nothing where tracing is off."""
    return _NOTHING if _tracer is None else _span(name, attributes)


def note(**attributes: str | float | bool | None) -> None:
    """Add attributes to the current span."""
    if _tracer is not None:
        from opentelemetry import trace

        trace.get_current_span().set_attributes(_named(attributes))


def begin(name: str, **attributes: str | float | bool | None) -> Any:
    """A span that the caller ends with `end()`. Only while `enabled()`."""
    return _tracer.start_span(name, attributes=_named(attributes))


def failed(error: BaseException, span: Any = None) -> None:
    """Mark a span, or the current one, as failed, with the error's type; its text may hold user data."""
    if _tracer is not None:
        from opentelemetry import trace

        span = span or trace.get_current_span()
        span.set_attribute("error.type", getattr(error, "code", type(error).__name__))
        span.set_status(trace.StatusCode.ERROR)


def continue_trace(headers: Mapping[str, str]) -> None:
    """Continue the caller's trace (`traceparent`, W3C Trace Context) in this task."""
    if _tracer is not None:
        from opentelemetry import context, propagate

        # With an empty context: the task may have continued another caller's trace before.
        context.attach(propagate.extract(headers, context.Context()))


def with_trace_id(_logger: Any, _method: str, line: Any) -> Any:
    """A structlog processor that adds the id of the current trace."""
    if _tracer is not None:
        from opentelemetry import trace

        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = f"{context.trace_id:032x}"
    return line


@contextmanager
def _span(name: str, attributes: Mapping[str, str | float | bool | None]) -> Iterator[None]:
    with _tracer.start_as_current_span(
        name, attributes=_named(attributes), record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except BaseException as error:
            failed(error, current)
            raise


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes by their full names: with our prefix, or with dots where the name follows a convention."""
    return {
        name.replace("__", ".") if "__" in name else f"smart_support.{name}": redacted(value)
        if isinstance(value, str)
        else value
        for name, value in attributes.items()
        if value is not None
    }


def _provider(version: str) -> Any:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    class Identified(SpanProcessor):
        """Adds the ids that are bound for the log to every span, and removes paths and queries."""

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            bound = structlog.contextvars.get_contextvars()
            span.set_attributes(_named({name: bound.get(name) for name in _IDS}))
            for name in _REMOVED:
                if name in (span.attributes or {}):
                    span.set_attribute(name, "not kept")

    named = {"service.version": version}
    if not os.environ.get("OTEL_SERVICE_NAME"):
        named["service.name"] = "smart-support"
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(Identified())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider
