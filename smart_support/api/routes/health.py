"""`/health`: whether this process can do its work, with `?ready=1` whether to send it any. Open to all."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from smart_support.api import schemas
from smart_support.api.dependencies import services
from smart_support.concurrency import run_together
from smart_support.observability.log import get_logger
from smart_support.services import Services

log = get_logger()
router = APIRouter(tags=["health"])
SECONDS_TO_ANSWER = 5.0


@router.head("/health", include_in_schema=False)
@router.get("/health", response_model=schemas.Health, responses={503: {"model": schemas.Health}})
async def health(
    request: Request,
    ready: bool = Query(False, description="also ask whether new conversations should be sent here"),
    services: Services = Depends(services),
) -> Response:
    """`ok`, or 503 and `degraded` where a store does not answer.

    With `ready`, also where what a crash cut off is not finished yet, and as soon as a shutdown has begun;
    `checks` tells which.
    """
    state, event_log = await run_together(
        _check("state", services.state.execute("SELECT 1")),
        _check("event_log", services.event_log.query("SELECT 1 FROM events LIMIT 1")),
    )
    checks = {"state": state, "event_log": event_log}
    if ready:
        checks |= _of_turns(services)
    well = set(checks.values()) == {"ok"}
    body = {"status": "ok" if well else "degraded", "version": request.app.version, "checks": checks}
    return Response(orjson.dumps(body), 200 if well else 503, media_type="application/json")


def _of_turns(services: Services) -> dict[str, str]:
    left = services.recovery.remaining
    return {
        "recovery": f"{left} conversations that were cut off are being finished" if left else "ok",
        "shutdown": "begun; no new message is taken" if services.turns.is_closing else "ok",
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
