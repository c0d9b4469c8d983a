"""`/health`: whether this process can do its work. Bare, without the envelope, and open to all."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from smart_support.api.dependencies import services
from smart_support.log import get_logger

log = get_logger()
router = APIRouter(tags=["health"])
SECONDS_TO_ANSWER = 5.0


@router.get("/health")
async def health(request: Request, services: Any = Depends(services)) -> Response:
    """`ok`, or 503 and `degraded` where a store does not answer."""
    state, event_log = await asyncio.gather(
        _check("state", services.state.execute("SELECT 1")),
        _check("event_log", services.event_log.query("SELECT 1 FROM events LIMIT 1")),
    )
    well = state == event_log == "ok"
    body = {
        "status": "ok" if well else "degraded",
        "version": request.app.version,
        "checks": {"state": state, "event_log": event_log},
    }
    return Response(orjson.dumps(body), 200 if well else 503, media_type="application/json")


async def _check(store: str, answer: Awaitable[Any]) -> str:
    try:
        await asyncio.wait_for(answer, SECONDS_TO_ANSWER)
    except TimeoutError:
        log.error("health_check_failed", store=store, error="no answer")
        return f"no answer within {SECONDS_TO_ANSWER:g} s"
    except Exception as error:
        log.error("health_check_failed", store=store, error=repr(error))
        return "failed; see the server's log"
    return "ok"
