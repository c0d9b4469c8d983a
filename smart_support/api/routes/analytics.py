"""`/analytics`: the figures of a time range, an export of its events, and SQL queries."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import BinaryIO, Literal

from fastapi import Depends, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from smart_support.analytics.ad_hoc_sql import MAX_SQL_CHARS, Table
from smart_support.analytics.ad_hoc_sql_shape import sql_shape
from smart_support.analytics.export import Subject, chosen_columns, export_rows, figures_as_csv
from smart_support.analytics.filters import Filters
from smart_support.analytics.query_files import FIGURES, figure_definition
from smart_support.analytics.time_range import parse_range
from smart_support.api import schemas
from smart_support.api.dependencies import admin, channel, lead, services
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.errors import InvalidRequest
from smart_support.identity.users import User
from smart_support.services import Services

router = rest_router("/analytics", tags=["analytics"], dependencies=[Depends(lead)])
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
    None,
    max_length=64,
    description="start, instead of a range; RFC 3339",
    json_schema_extra=schemas.TIMESTAMP,
)
UNTIL = Query(
    None,
    max_length=64,
    description="end (exclusive), instead of a range; RFC 3339",
    json_schema_extra=schemas.TIMESTAMP,
)


def _filters(
    agent: str | None = Query(None, max_length=128, description="only conversations with this agent"),
    tool: str | None = Query(None, max_length=128, description="only conversations with a call of this tool"),
    channel: Literal["socket", "rest", "gradio", "console", "mcp", "system"] | None = Query(
        None, description="only conversations with a turn through this channel"
    ),
) -> Filters:
    return Filters(agent, tool, channel)


@router.get("", response_model=schemas.Answer[schemas.Figures])
async def analytics(
    range_: str | None = RANGE,
    since: str | None = SINCE,
    until: str | None = UNTIL,
    filters: Filters = Depends(_filters),
    compare: bool = Query(False, description="add `previous`: the same figures of the preceding range"),
    services: Services = Depends(services),
) -> Response:
    """All figures of the range."""
    return answer(await services.metrics.analytics(range_, since, until, filters=filters, compare=compare))


@router.get("/definitions", response_model=schemas.Answer[dict[str, str]])
async def definitions() -> Response:
    """The definition of each figure, as text."""
    return answer({figure: figure_definition(figure) for figure in FIGURES})


@router.get(
    "/export",
    responses=schemas.file_of("text/csv", "application/vnd.apache.parquet"),
)
async def export(
    subject: Subject = Query("events", alias="what", description="figures: CSV only, by hour or day"),
    columns: str | None = Query(
        None, max_length=1000, description="names with commas between them; all if left out"
    ),
    format_: Literal["csv", "parquet"] = Query("csv", alias="format"),
    range_: str | None = RANGE,
    since: str | None = SINCE,
    until: str | None = UNTIL,
    filters: Filters = Depends(_filters),
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Download the events, the decisions or the figures of the range."""
    time_range, chosen = parse_range(range_, since, until), chosen_columns(subject, columns)
    if subject == "figures" and format_ != "csv":
        raise InvalidRequest("format: figures are exported as csv")
    what = {"what": subject, "format": format_, "range": time_range.name, "filters": asdict(filters)}
    if columns is not None:
        what["columns"] = list(chosen)
    await services.audit_trail.record("analytics_exported", by=user.name, via=via, **what)
    if subject == "figures":
        figures = await services.metrics.analytics(range_, since, until, filters=filters)
        file, size = figures_as_csv(figures["series"], chosen)
    else:
        file, size = await export_rows(
            services.event_log, time_range, format_, filters, subject=subject, columns=chosen
        )
    kind = "" if subject == "events" else f"{subject}-"
    name = f"smart-support-{kind}{time_range.until:%Y-%m-%d}-{time_range.name}.{format_}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size)}
    return StreamingResponse(_chunks(file), 200, headers, MEDIA_TYPES[format_])


class SqlQuery(BaseModel):
    """A SELECT over the table `events`."""

    sql: str = Field(max_length=MAX_SQL_CHARS, json_schema_extra=schemas.text(MAX_SQL_CHARS))


@router.post("/sql", response_model=schemas.Answer[Table])
async def sql(
    query: SqlQuery,
    user: User = Depends(admin),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Run a read-only SQL query on the event log, without files or network, for at most 5 seconds."""
    await services.audit_trail.record("sql_asked", by=user.name, via=via, sql=sql_shape(query.sql))
    return answer(asdict(await services.ad_hoc_sql.run(query.sql)))


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
