"""Serving on a port: what is made for it stays to the end, and the end takes its time.

Turns finish or are parked before the sockets close.
"""

import asyncio
import contextlib
import gc
import socket
import sqlite3
import sys
from collections.abc import Iterator
from typing import Any

import duckdb
import uvicorn
from uvicorn.lifespan.on import LifespanOn

from smart_support.concurrency import end_tasks, run_together
from smart_support.errors import ConfigError
from smart_support.observability.log import get_logger
from smart_support.observability.redaction import redacted
from smart_support.server.write_coalescing import GatheringProtocol
from smart_support.services import Services
from smart_support.settings import Settings

log = get_logger()
# For requests that are still being answered once every turn is at rest.
SECONDS_FOR_REQUESTS = 5


class _Lifespan(LifespanOn):
    """Uvicorn's, which tells why the app can't start in a sentence where there is one, and not as a trace."""

    async def send(self, message: Any) -> None:
        """Take what the app says of its start and its end."""
        error = sys.exc_info()[1]
        if message["type"] == "lifespan.startup.failed" and (told := _sentence(error)):
            message = {**message, "message": redacted(f"Smart Support can't start.\n{told}")}
        await super().send(message)


def _sentence(error: BaseException | None) -> str | None:
    if isinstance(error, ConfigError):
        return error.message
    if isinstance(error, (OSError, sqlite3.Error, duckdb.Error)):
        where = "SMART_SUPPORT_DATA_DIR: its databases can't be used"
        return f"{where}: {error}; choose another folder, or restore a backup into it"
    return None


class Server(uvicorn.Server):
    """Uvicorn, which by itself would close the sockets first and then wait for what runs."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the app come to rest while it still answers, then stop. A second Ctrl-C skips that."""
        app: Any = self.config.app
        draining = asyncio.create_task(_drain(app.state.services))
        while not (draining.done() or self.force_exit):
            await asyncio.wait({draining}, timeout=0.1)
        await end_tasks(draining)
        await super().shutdown(sockets)


async def _drain(services: Services) -> None:
    """Take no more turns, let those that run end or park them, then send every socket away."""
    log.info("shutting_down", turns=services.turns.running, sockets=len(services.sockets))
    await services.turns.close(services.settings.shutdown_seconds)
    await run_together(*(socket.send_away() for socket in tuple(services.sockets)))


def check_port(settings: Settings) -> None:
    """See, before anything is opened, that the address can be listened on.

    Raises:
        ConfigError: it can't; says what to do.
    """
    where = f"SMART_SUPPORT_HOST={settings.host}"
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            where = f"SMART_SUPPORT_PORT={settings.port} on {settings.host}"
            with contextlib.closing(socket.socket(family, kind, protocol)) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        told = (error.strerror or str(error)).lower()
        raise ConfigError(
            f"{where}: can't be listened on: {told}; stop what uses it, or set another SMART_SUPPORT_PORT or "
            "SMART_SUPPORT_HOST"
        ) from None


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Look for no garbage while that is made which stays to the end, and later never among it.

    Of the app's 300,000 objects next to none is garbage. Looking for it takes a sixth of the start, and later
    stops all turns for a fifth of a second at a time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def serve(app: Any, settings: Settings) -> None:
    """Serve until stopped."""
    print(f"Smart Support: http://{settings.host}:{settings.port}", file=sys.stderr)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=GatheringProtocol,
        ws="websockets-sansio",
        # Events are small and many: compressing each would cost more than all else a token needs.
        ws_per_message_deflate=False,
        # Else anybody could claim an address; only these proxies may say for whom they ask.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=SECONDS_FOR_REQUESTS,
    )
    config.load()
    config.lifespan_class = _Lifespan
    with contextlib.suppress(KeyboardInterrupt):
        Server(config).run()
