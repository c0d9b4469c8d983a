"""`/analytics`: the figures of a range, and its events as a file."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import BinaryIO, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from smart_support.analytics.ad_hoc_sql import MAX_SQL_CHARS
from smart_support.analytics.ad_hoc_sql_shape import sql_shape
from smart_support.analytics.export import exported
from smart_support.analytics.filters import Filters
from smart_support.analytics.query_files import FIGURES, definition
from smart_support.analytics.time_range import span
from smart_support.api import request_shapes, schemas
from smart_support.api.dependencies import admin, channel, lead, services
from smart_support.api.envelope import answer
from smart_support.identity.users import User
from smart_support.services import Services

router = APIRouter(prefix="/analytics", tags=["analytics"], dependencies=[Depends(lead)])
CHUNK_BYTES = 256 * 1024
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
RANGE = Query(
    None,
    alias="range",
    max_length=64,
    description="24h, 7d (default), 30d, 90d or all",
    json_schema_extra={"enum": ["24h", "7d", "30d", "90d", "all", None]},
)
SINCE = Query(
    None, max_length=64, description="instead of a range: RFC 3339", json_schema_extra=request_shapes.MOMENT
)
UNTIL = Query(
    None,
    max_length=64,
    description="instead of a range: up to, not including; RFC 3339",
    json_schema_extra=request_shapes.MOMENT,
)


def _filters(
    agent: str | None = Query(None, max_length=128, description="only conversations it took part in"),
    tool: str | None = Query(None, max_length=128, description="only those in which it was called"),
    channel: Literal["socket", "rest", "gradio", "console", "system"] | None = Query(
        None, description="only those with a turn through this door"
    ),
) -> Filters:
    return Filters(agent, tool, channel)


@router.get("", response_model=schemas.Answer[schemas.Figures])
async def analytics(
    range_: str | None = RANGE,
    since: str | None = SINCE,
    until: str | None = UNTIL,
    filters: Filters = Depends(_filters),
    compare: bool = Query(False, description="add `previous`: the same figures of the time just before"),
    services: Services = Depends(services),
) -> Response:
    """Every figure of the range."""
    found = await services.metrics.analytics(range_, since, until, filters=filters, compare=compare)
    return answer(found)


@router.get("/definitions", response_model=schemas.Answer[dict[str, str]])
async def definitions() -> Response:
    """What each figure counts, in words."""
    return answer({figure: definition(figure) for figure in FIGURES})


@router.get(
    "/export",
    responses=schemas.file_of("text/csv", "application/vnd.apache.parquet"),
)
async def export(
    format_: Literal["csv", "parquet"] = Query("csv", alias="format"),
    range_: str | None = RANGE,
    since: str | None = SINCE,
    until: str | None = UNTIL,
    filters: Filters = Depends(_filters),
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """The range's events as a download."""
    asked = span(range_, since, until)
    what = {"format": format_, "range": asked.name, "filters": asdict(filters)}
    await services.audit_trail.record("analytics_exported", by=user.name, via=via, **what)
    file, size = await exported(services.event_log, asked, format_, filters)
    name = f"smart-support-{asked.until:%Y-%m-%d}-{asked.name}.{format_}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size)}
    return StreamingResponse(_chunks(file), 200, headers, MEDIA_TYPES[format_])


class Question(BaseModel):
    """One SELECT over the table `events`."""

    sql: str = Field(max_length=MAX_SQL_CHARS, json_schema_extra=request_shapes.text(MAX_SQL_CHARS))


@router.post("/sql", response_model=schemas.Answer[schemas.Rows])
async def sql(
    question: Question,
    user: User = Depends(admin),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """An admin's own question to the event log: read-only, without files or network, at most 5 seconds."""
    await services.audit_trail.record("sql_asked", by=user.name, via=via, sql=sql_shape(question.sql))
    return answer(asdict(await services.sql_box.ask(question.sql)))


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
