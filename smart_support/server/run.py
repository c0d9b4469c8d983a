"""Serves the application with uvicorn, and shuts it down: turns end or are parked before sockets close."""

import asyncio
import contextlib
import os
import socket
import sqlite3
import sys
import threading
from typing import Any

import duckdb
import uvicorn
from uvicorn.lifespan.on import LifespanOn

from smart_support.concurrency import end_tasks, run_together
from smart_support.errors import ConfigError
from smart_support.mcp_server.endpoint import McpEndpoint
from smart_support.observability.log import get_logger
from smart_support.observability.redaction import redacted
from smart_support.server.connection_limits import ConnectionLimits, LimitedConfig
from smart_support.server.http_protocol import LimitedHttpProtocol
from smart_support.server.websocket_protocol import LimitedWebSocketProtocol
from smart_support.services import Services
from smart_support.settings import Settings

log = get_logger()
# How long requests may still run after all turns have ended.
REQUEST_SECONDS = 5
# How long the rest may take after the turns' time, requests and databases included.
CLOSE_SECONDS = 8


class _Lifespan(LifespanOn):
    """Uvicorn's lifespan, which reports a failed start in a sentence instead of a stack trace if it can."""

    async def send(self, message: Any) -> None:
        """Handle a message about start-up or shutdown."""
        error = sys.exc_info()[1]
        if message["type"] == "lifespan.startup.failed" and (reason := _reason(error)):
            message = {**message, "message": redacted(f"Smart Support can't start.\n{reason}")}
        await super().send(message)


def _reason(error: BaseException | None) -> str | None:
    if isinstance(error, ConfigError):
        return error.message
    if isinstance(error, (OSError, sqlite3.Error, duckdb.Error)):
        where = "SMART_SUPPORT_DATA_DIR: its databases can't be used"
        return f"{where}: {error}; choose another folder, or restore a backup into it"
    return None


class Server(uvicorn.Server):
    """Uvicorn, with turns ended before sockets are closed; by itself it closes sockets first."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End turns while the app still answers, then stop. A second Ctrl-C skips the wait."""
        app: Any = self.config.app
        _end_process_in(app.state.services.settings.shutdown_seconds + CLOSE_SECONDS)
        draining = asyncio.create_task(_drain(app.state.services, app.state.mcp))
        while not (draining.done() or self.force_exit):
            await asyncio.wait({draining}, timeout=0.1)
        await end_tasks(draining)
        await super().shutdown(sockets)


def _end_process_in(seconds: float) -> None:
    """End this process after some seconds unless it has ended by then, as when a database does not answer.

    That is like a kill: what was shown is durable, and the next start goes on with the rest.
    """

    def end() -> None:
        log.error("shutdown_cut_off", seconds=seconds)
        os._exit(1)

    # A thread, because the event loop may wait for a thread that waits for a database.
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


async def _drain(services: Services, mcp: McpEndpoint) -> None:
    """Refuse new turns, let the running ones end or park them, then close all sockets and streams."""
    log.info("shutting_down", turns=services.turns.running_count, sockets=len(services.sockets))
    await services.turns.close(services.settings.shutdown_seconds)
    services.actions.stop_waiting()
    await mcp.close()
    await run_together(*(socket.send_away() for socket in tuple(services.sockets)))


def check_port(settings: Settings) -> None:
    """Check, before anything is opened, that the address is free.

    Raises:
        ConfigError: it is not; the message says what to do.
    """
    where = f"SMART_SUPPORT_HOST={settings.host}"
    try:
        addresses = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in addresses:
            where = f"SMART_SUPPORT_PORT={settings.port} on {settings.host}"
            with contextlib.closing(socket.socket(family, kind, protocol)) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(
            f"{where}: can't listen there: {reason}; stop the program that uses it, or set another "
            "SMART_SUPPORT_PORT or SMART_SUPPORT_HOST"
        ) from None


def serve(app: Any, settings: Settings) -> None:
    """Serve until stopped."""
    print(f"Smart Support: {settings.local_url}", file=sys.stderr)
    config = LimitedConfig(
        app,
        ConnectionLimits(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=LimitedHttpProtocol,
        ws=LimitedWebSocketProtocol,
        # Events are small and many; compressing each would cost more CPU than everything else per token.
        ws_per_message_deflate=False,
        # The app does this itself (`TrustedProxiesMiddleware`), and removes what an untrusted peer sends.
        proxy_headers=False,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=REQUEST_SECONDS,
    )
    config.load()
    config.lifespan_class = _Lifespan
    with contextlib.suppress(KeyboardInterrupt):
        Server(config).run()
