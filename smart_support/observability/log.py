"""Structured logging with structlog: one line for each event, with ids from context variables.

Message content is logged at level `debug` only.
"""

import contextlib
import io
import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any, TextIO, cast

import structlog

from smart_support.observability import redaction, tracing
from smart_support.observability.printable import INDENT, indented, printable
from smart_support.observability.redaction import hide

__all__ = ["bind", "configure", "get_logger", "hide"]


# One list and one class for good: a logger keeps those that it was first used with.
_processors: list[Any] = []
_Logger: Any = type("_Logger", (structlog.make_filtering_bound_logger(logging.INFO),), {})


class _StandardError(io.TextIOBase):
    """Standard error as it is when a line is written: loggers outlive the stream that they were made with.

    A line that can't be written, as on a full disk, is left out. Otherwise the work that logs would fail too.
    """

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def configure(log_format: str, level: str) -> None:
    """Configure structlog and the standard library's logging.

    Args:
        log_format: `console` for people, `json` for machines.
        level: `debug`, `info`, `warning` or `error`.
    """
    redaction.hide_environment()
    _redact_crashes()
    stream = cast(TextIO, _StandardError())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        tracing.with_trace_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        # Never rich tracebacks: they print local variables, which hold what customers write.
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_traceback)
    )
    # JSON has its own escapes for everything but printable ASCII.
    final: list[Any] = [renderer, _without_secrets]
    if log_format == "console":
        final.insert(0, _printable_values)
    exceptions = [structlog.processors.format_exc_info] if log_format == "json" else []
    _processors[:] = [*shared, *exceptions, *final]
    # The base has the methods of the level.
    _Logger.__bases__ = (structlog.make_filtering_bound_logger(getattr(logging, level.upper())),)
    structlog.configure(
        processors=_processors,
        wrapper_class=_Logger,
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.processors.format_exc_info],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Uvicorn's access lines hold the whole URL, with the `?token=` of a WebSocket.
    for noisy in ("httpx", "httpx2", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(noisy).setLevel("WARNING")


def _printable_values(_logger: Any, _method: str, event: Any) -> Any:
    """Escape what a terminal would obey, before the renderer adds its colours and line breaks."""
    for name, value in event.items():
        if name in ("exception", "stack"):
            event[name] = indented(str(value))
        elif name == "event":
            # A message of several lines, such as why the app can't start.
            event[name] = indented(str(value)).removeprefix(INDENT)
        elif name != "exc_info" and not isinstance(value, (int, float, type(None))):
            event[name] = printable(value if isinstance(value, str) else repr(value))
    return event


def _write_traceback(to: TextIO, exc_info: Any) -> None:
    to.write("\n" + indented("".join(traceback.format_exception(*exc_info))))


def _without_secrets(_logger: Any, _method: str, line: Any) -> Any:
    # The last processor: by now the line holds every field, exception and library message.
    return redaction.redacted(line)


def _redact_crashes() -> None:
    """Remove secrets and control characters from uncaught errors too."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        text = indented("".join(traceback.format_exception(kind, error, trace)))
        sys.stderr.write(f"{redaction.redacted(text)}\n")

    def thread_hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit and args.exc_value is not None:
            hook(args.exc_type, args.exc_value, args.exc_traceback)

    sys.excepthook, threading.excepthook = hook, thread_hook


def bind(**ids: Any) -> None:
    """Add ids (`request_id`, `thread_id`, `turn_id`, `agent`) to every later line of this task."""
    structlog.contextvars.bind_contextvars(**ids)


get_logger = structlog.get_logger
