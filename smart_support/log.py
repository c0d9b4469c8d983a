"""Structured logging for everything: structlog, one line an event, ids from context variables.

Message content is logged at `debug` only.
"""

import logging
import sys
from typing import Any

import structlog

from smart_support import tracing

_SHORTEST_SECRET = 8
# Of this process. Providers repeat a key in their errors, and those belong in the log.
_secrets: set[str] = set()


def configure(log_format: str, level: str) -> None:
    """Set up structlog and the standard library's logging alike.

    Args:
        log_format: `console` for people, `json` for machines.
        level: `debug`, `info`, `warning` or `error`.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        tracing.with_trace_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        # Never rich tracebacks: they print local variables, and so what customers write.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer, _without_secrets]
        if log_format == "json"
        else [*shared, renderer, _without_secrets],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.processors.format_exc_info],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
                _without_secrets,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Uvicorn's own lines hold whole addresses, and with them the `?token=` of a socket.
    for noisy in ("httpx", "httpx2", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(noisy).setLevel("WARNING")


def hide(secret: str) -> None:
    """Keep this text out of every later line; what is too short to be a secret stays readable."""
    if len(secret) >= _SHORTEST_SECRET:
        _secrets.add(secret)


def _without_secrets(_logger: Any, _method: str, line: Any) -> Any:
    for secret in _secrets:
        line = line.replace(secret, "***")
    return line


def bind(**ids: Any) -> None:
    """Put ids (`request_id`, `thread_id`, `turn_id`, `agent`) on every later line of this task."""
    structlog.contextvars.bind_contextvars(**ids)


get_logger = structlog.get_logger
