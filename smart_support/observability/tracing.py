"""OpenTelemetry traces, where `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector; else nothing is imported.

Spans carry ids (request, thread, turn, approval), names and durations, never what people or tools said. The
other standard variables (`OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`) hold too.
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
# Paths hold customers' ids, and queries what somebody searched for; the route's template says enough.
_KEPT_BACK = ("url.path", "url.query")
_tracer: Any = None


def configure(version: str) -> None:
    """Begin to trace, if the environment names a collector; once a process.

    Raises:
        ConfigError: a protocol is asked for that is not spoken.
    """
    global _tracer
    endpoint = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if _tracer is not None or endpoint is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    for name in _PROTOCOLS:
        if os.environ.get(name, "http/protobuf") not in ("", "http/protobuf"):
            raise ConfigError(
                f"{name}={os.environ[name]}: only http/protobuf is spoken; leave it out, and name the "
                f"collector's HTTP port (usually 4318) in {endpoint}"
            )
    _tracer = _provider(version).get_tracer("smart_support", version)


def close() -> None:
    """Send what is still to be sent. Blocks; give it a thread."""
    from opentelemetry import trace

    if _tracer is not None:
        trace.get_tracer_provider().force_flush(5000)  # type: ignore[attr-defined]


def enabled() -> bool:
    """Whether spans go anywhere."""
    return _tracer is not None


def span(name: str, **attributes: str | float | bool | None) -> AbstractContextManager[None]:
    """A span around what happens inside; costs nothing where nobody collects."""
    return _NOTHING if _tracer is None else _span(name, attributes)


def note(**attributes: str | float | bool | None) -> None:
    """Say more of the span that one is in."""
    if _tracer is not None:
        from opentelemetry import trace

        trace.get_current_span().set_attributes(_named(attributes))


def begin(name: str, **attributes: str | float | bool | None) -> Any:
    """A span that is ended by its `end()`; only where `enabled()`."""
    return _tracer.start_span(name, attributes=_named(attributes))


def failed(error: BaseException, span: Any = None) -> None:
    """Mark a span, or the current one, as failed; by the kind of error, for its text may be somebody's."""
    if _tracer is not None:
        from opentelemetry import trace

        span = span or trace.get_current_span()
        span.set_attribute("error.type", getattr(error, "code", type(error).__name__))
        span.set_status(trace.StatusCode.ERROR)


def go_on_from(headers: Mapping[str, str]) -> None:
    """Continue the caller's trace (`traceparent`, W3C Trace Context) in what this task does from now on."""
    if _tracer is not None:
        from opentelemetry import context, propagate

        # From nothing: the task may have gone on from somebody else before.
        context.attach(propagate.extract(headers, context.Context()))


def with_trace_id(_logger: Any, _method: str, line: Any) -> Any:
    """A structlog processor: the id under which a line's trace is found."""
    if _tracer is not None:
        from opentelemetry import trace

        found = trace.get_current_span().get_span_context()
        if found.is_valid:
            line["trace_id"] = f"{found.trace_id:032x}"
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
    """Our own attributes, under our own prefix; those with a dot in their name follow a convention."""
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
        """Puts the ids of the log's lines on every span, and takes off what may say more."""

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            bound = structlog.contextvars.get_contextvars()
            span.set_attributes(_named({name: bound.get(name) for name in _IDS}))
            for name in _KEPT_BACK:
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
