"""`/metrics`: what a monitor reads, in the text format of Prometheus; bare, without the envelope."""

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from smart_support.api import schemas
from smart_support.api.dependencies import lead, services
from smart_support.observability.metrics import CONTENT_TYPE_LATEST
from smart_support.services import Services

router = APIRouter(tags=["health"], dependencies=[Depends(lead)])


@router.get("/metrics", responses=schemas.file_of("text/plain"))
async def metrics(services: Services = Depends(services)) -> Response:
    """Turns, tokens, times, decisions and failures since this process began, and what waits now."""
    return Response(await services.metrics_text(), media_type=CONTENT_TYPE_LATEST)
