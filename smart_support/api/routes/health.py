"""`/health`: whether this process works, and with `?ready=1` whether it takes new conversations. Public."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import orjson
from fastapi import Depends, Query, Request
from fastapi.responses import Response

from smart_support.api import schemas
from smart_support.api.dependencies import services
from smart_support.api.rest_router import rest_router
from smart_support.concurrency import run_together
from smart_support.observability.log import get_logger
from smart_support.services import Services

log = get_logger()
router = rest_router(tags=["health"])
SECONDS_TO_ANSWER = 5.0


@router.head("/health", include_in_schema=False)
@router.get("/health", response_model=schemas.Health, responses={503: {"model": schemas.Health}})
async def health(
    request: Request,
    ready: bool = Query(False, description="also check whether this process takes new conversations"),
    services: Services = Depends(services),
) -> Response:
    """Answer `ok`, or 503 and `degraded` if a store does not answer.

    With `ready`, it is degraded also while interrupted turns are being recovered, and once a shutdown has
    begun; `checks` says which.
    """
    state, event_log = await run_together(
        _check("state", services.state.execute("SELECT 1")),
        _check("event_log", services.event_log.query("SELECT 1 FROM events LIMIT 1")),
    )
    checks = {"state": state, "event_log": event_log}
    if ready:
        checks |= _turn_checks(services)
    is_healthy = set(checks.values()) == {"ok"}
    body = {"status": "ok" if is_healthy else "degraded", "version": request.app.version, "checks": checks}
    return Response(orjson.dumps(body), 200 if is_healthy else 503, media_type="application/json")


def _turn_checks(services: Services) -> dict[str, str]:
    left = services.recovery.remaining
    return {
        "recovery": f"{left} interrupted conversations are being recovered" if left else "ok",
        "shutdown": "begun; no new messages" if services.turns.is_closing else "ok",
    }


async def _check(store: str, answer: Awaitable[Any]) -> str:
    try:
        async with asyncio.timeout(SECONDS_TO_ANSWER):
            await answer
    except TimeoutError:
        log.error("health_check_failed", store=store, error="no answer")
        return f"no answer within {SECONDS_TO_ANSWER:g} s"
    except Exception as error:
        log.error("health_check_failed", store=store, error=repr(error))
        return "failed; see the server's log"
    return "ok"
