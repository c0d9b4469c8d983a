"""`/metrics`: figures of this process in the text format of Prometheus, without the envelope."""

from fastapi import Depends
from fastapi.responses import Response

from smart_support.api import schemas
from smart_support.api.dependencies import lead, services
from smart_support.api.rest_router import rest_router
from smart_support.observability.metrics import CONTENT_TYPE_LATEST
from smart_support.services import Services

router = rest_router(tags=["health"], dependencies=[Depends(lead)])


@router.get("/metrics", responses=schemas.file_of("text/plain"))
async def metrics(services: Services = Depends(services)) -> Response:
    """Turns, tokens, durations, decisions and failures since the process started, and what is pending now."""
    return Response(await services.metrics_text(), media_type=CONTENT_TYPE_LATEST)
