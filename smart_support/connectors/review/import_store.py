"""Stores import jobs and their reviewed operations."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from smart_support import audit, clock
from smart_support.concurrency import in_slices
from smart_support.connectors.review.customers import rule_of
from smart_support.connectors.review.reviewed_operation import ReviewedOperation
from smart_support.errors import InvalidRequest, NotFound, SmartSupportError, ToolRefused
from smart_support.observability.log import get_logger
from smart_support.storage.state.base import Connection, StateDatabase

log = get_logger()
_ROWS_AT_ONCE = 500
_COLUMNS = (
    *("key", "fingerprint", "change", "enabled", "access", "needs_approval", "idempotent", "agent"),
    *("tool_name", "description", "risk", "proposal", "customer"),
)
_INSERT = (
    f"INSERT INTO operations (job_id, place, {', '.join(_COLUMNS)}) VALUES (:job_id, :place, "
    + ", ".join(f":{name}" for name in _COLUMNS)
    + ")"
)
_UPDATE = (
    "UPDATE operations SET "
    + ", ".join(f"{name} = :{name}" for name in _COLUMNS)
    + " WHERE job_id = :job_id AND key = :key"
)

_TAKEN_NAMES = """
    SELECT others.tool_name FROM operations AS others
    JOIN import_jobs ON import_jobs.job_id = others.job_id
    JOIN operations AS own ON own.tool_name = others.tool_name AND own.job_id = :id
    WHERE import_jobs.status = 'live' AND import_jobs.api <> :api
        AND others.enabled = :on AND others.change <> 'gone' AND own.enabled = :on AND own.change <> 'gone'
"""


# Origin -> "schemes", whose credentials may be sent there with calls, and "token_schemes", whose client
# secrets may be sent to a token endpoint there.
AllowedHosts = dict[str, dict[str, list[str]]]


class ReviewOutdated(SmartSupportError):
    """The live import changed after the review began; nothing was stored. Raised by `ImportStore`."""

    code = "review_outdated"
    status = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportJob:
    """One import.

    Attributes:
        kind: `openapi` or `mcp`.
        source: a URL, a file name, or the name of a configured MCP server.
        api: the API's name, unique among live imports; it stays the same when the API is imported again.
        status: `loading`, `review`, `failed`, `live`, `replaced` or `removed`.
        progress: `{"step", "done", "total"}`, and in review `compared_with`: the job that was live then.
        base_url: as the reviewer entered it; None for the document's first server.
        allowed_hosts: as a reviewer allowed them; None for an import from before this was stored.
    """

    job_id: str
    kind: str
    source: str
    api: str
    title: str
    status: str
    progress: dict[str, Any]
    error: str | None
    base_url: str | None
    variables: dict[str, str]
    allowed_hosts: AllowedHosts | None
    created_by: str
    created_at: str
    approved_by: str | None
    approved_at: str | None


class ImportStore:
    """Reads and writes import jobs and their operations."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state

    async def create(self, kind: str, source: str, by: str) -> ImportJob:
        """Create a job with the status `loading`."""
        job_id = clock.new_id()
        await self._state.execute(
            """INSERT INTO import_jobs (job_id, kind, source, api, title, status, progress, allowed_hosts,
                   created_by, created_at)
               VALUES (:id, :kind, :source, '', :source, 'loading', :progress, '{}', :by, :now)""",
            {
                "id": job_id,
                "kind": kind,
                "source": source,
                "progress": _json({"step": "waiting", "done": 0, "total": 0}),
                "by": by,
                "now": clock.rfc3339(clock.now()),
            },
        )
        return await self.job(job_id)

    async def job(self, job_id: str) -> ImportJob:
        """The job with this id.

        Raises:
            NotFound: there is no such job.
        """
        rows = await self._jobs("WHERE job_id = :id", {"id": job_id})
        if not rows:
            raise NotFound(f"import job {job_id[:64]!r} does not exist; see GET /api/v1/openapi/jobs")
        return rows[0]

    async def jobs(self, status: str | None = None, limit: int = 100) -> list[ImportJob]:
        """Jobs, newest first."""
        where = "WHERE (:status IS NULL OR status = :status) ORDER BY job_id DESC LIMIT :limit"
        return await self._jobs(where, {"status": status, "limit": limit})

    async def live(self, api: str) -> ImportJob | None:
        """The live job of an API."""
        rows = await self._jobs("WHERE api = :api AND status = 'live'", {"api": api})
        return rows[0] if rows else None

    async def description(self, job_id: str) -> bytes:
        """The loaded description as JSON; `null` before it was loaded."""
        rows = await self._state.read("SELECT document FROM import_jobs WHERE job_id = :id", {"id": job_id})
        return bytes(rows[0]["document"] or b"null") if rows else b"null"

    async def update(self, job_id: str, **values: Any) -> None:
        """Set columns of a job; dicts are stored as JSON."""
        encoded = {name: _json(value) if isinstance(value, dict) else value for name, value in values.items()}
        names = ", ".join(f"{name} = :{name}" for name in encoded)
        await self._state.execute(
            f"UPDATE import_jobs SET {names} WHERE job_id = :job_id", encoded | {"job_id": job_id}
        )

    async def fail_interrupted(self, loading: Collection[str]) -> None:
        """Mark jobs as failed that a crash interrupted; not those that another process is `loading`."""
        for job in await self.jobs("loading"):
            if job.job_id not in loading:
                message = "The server was restarted; import the description again."
                await self.update(job.job_id, status="failed", error=message)

    async def add_operations(self, job_id: str, reviewed: list[ReviewedOperation]) -> None:
        """Store the operations of a job that is loading, in several transactions: decisions wait for each."""

        def work(connection: Connection, start: int) -> None:
            for place, one in enumerate(reviewed[start : start + _ROWS_AT_ONCE], start):
                connection.execute(_INSERT, _row(job_id, one) | {"place": place})

        for start in range(0, len(reviewed), _ROWS_AT_ONCE):
            await self._state.transact(partial(work, start=start))

    async def update_operations(self, job_id: str, reviewed: list[ReviewedOperation]) -> None:
        """Store operations that a reviewer has changed.

        Raises:
            ReviewOutdated: the job is no longer in review.
        """

        def work(connection: Connection) -> None:
            _check_status(connection, job_id, "review")
            for one in reviewed:
                connection.execute(_UPDATE, _row(job_id, one))

        await self._state.transact(work)

    async def update_live_operations(
        self, job: ImportJob, reviewed: list[ReviewedOperation], changes: dict[str, Any], by: str
    ) -> None:
        """Store changed operations of a live job and record them in the audit trail, in one transaction.

        Raises:
            ReviewOutdated: the job is no longer live.
        """

        def work(connection: Connection) -> None:
            _check_status(connection, job.job_id, "live")
            for one in reviewed:
                connection.execute(_UPDATE, _row(job.job_id, one))
            detail = {"api": job.api, "job_id": job.job_id, "changes": changes}
            detail["operations"] = [one.key for one in reviewed]
            audit.append(connection, "tools_changed", actor=by, via="rest", detail=detail)

        await self._state.transact(work)

    async def operations(self, job_id: str) -> dict[str, ReviewedOperation]:
        """A job's operations by key, in the order of the description."""
        rows = await self._state.read(
            f"SELECT {', '.join(_COLUMNS)} FROM operations WHERE job_id = :id ORDER BY place", {"id": job_id}
        )
        return {row["key"]: one async for row in in_slices(rows) if (one := _reviewed(row))}

    async def other_tool_names(self, api: str) -> set[str]:
        """The tool names of all live imports except this API's."""
        rows = await self._state.read(
            """SELECT tool_name FROM operations JOIN import_jobs ON import_jobs.job_id = operations.job_id
               WHERE import_jobs.status = 'live' AND import_jobs.api <> :api""",
            {"api": api},
        )
        return {str(row["tool_name"]) for row in rows}

    async def require_live(self, job_id: str, key: str) -> None:
        """
        Raises:
            ToolRefused: the operation is not live; another process may have changed that a moment ago.
        """
        rows = await self._state.read(
            """SELECT status, enabled, changed_at FROM import_jobs JOIN operations USING (job_id)
               WHERE job_id = :id AND key = :key""",
            {"id": job_id, "key": key},
        )
        if not rows or rows[0]["status"] != "live" or not rows[0]["enabled"] or rows[0]["changed_at"]:
            raise ToolRefused("This tool was disabled a moment ago, so nothing was done; please ask again.")

    async def set_changed(self, job: ImportJob, key: str) -> None:
        """Mark an operation as changed by its server, which disables it, and record it in the audit trail."""

        def work(connection: Connection) -> None:
            ids = {"id": job.job_id, "key": key}
            sql = "SELECT 1 FROM operations WHERE job_id = :id AND key = :key AND changed_at IS NULL"
            if not connection.execute(sql, ids):
                return
            connection.execute(
                "UPDATE operations SET changed_at = :now WHERE job_id = :id AND key = :key",
                ids | {"now": clock.rfc3339(clock.now())},
            )
            detail = {"api": job.api, "job_id": job.job_id, "operations": [key], "changes": "by its server"}
            audit.append(connection, "tools_changed", actor="system", via="system", detail=detail)

        await self._state.transact(work)

    async def changed_keys(self, job_id: str) -> set[str]:
        """The operations of a job that their server has changed since the review, by key."""
        rows = await self._state.read(
            "SELECT key FROM operations WHERE job_id = :id AND changed_at IS NOT NULL", {"id": job_id}
        )
        return {str(row["key"]) for row in rows}

    async def former_agents(self) -> list[str]:
        """The agents of all imports that were ever live: a conversation may still be with one of them."""
        rows = await self._state.read(
            """SELECT DISTINCT agent FROM operations JOIN import_jobs
                   ON import_jobs.job_id = operations.job_id
               WHERE import_jobs.approved_at IS NOT NULL ORDER BY agent"""
        )
        return [str(row["agent"]) for row in rows]

    async def go_live(self, job: ImportJob, by: str) -> None:
        """Make a job the live one of its API and record it in the audit trail, in one transaction.

        Raises:
            ReviewOutdated: the job, or another import of the API, was approved in the meantime.
            InvalidRequest: a tool of another API has taken one of its names in the meantime.
        """

        def work(connection: Connection) -> None:
            _check_status(connection, job.job_id, "review")
            sql = "SELECT job_id, approved_by FROM import_jobs WHERE api = :api AND status = 'live'"
            for live in connection.execute(sql, {"api": job.api}):
                if live["job_id"] != job.progress.get("compared_with"):
                    raise ReviewOutdated(
                        f"import job {job.job_id}: {live['approved_by']} approved another import of this API "
                        "in the meantime; import it again to see the changes"
                    )
            names = connection.execute(_TAKEN_NAMES, {"id": job.job_id, "api": job.api, "on": 1})
            if taken := sorted(repr(row["tool_name"]) for row in names):
                raise InvalidRequest(f"tool names are taken: {', '.join(taken)}; choose others")
            ids = {"api": job.api, "id": job.job_id, "by": by, "now": clock.rfc3339(clock.now())}
            connection.execute(
                "UPDATE import_jobs SET status = 'replaced' WHERE api = :api AND status = 'live'", ids
            )
            connection.execute(
                """UPDATE import_jobs SET status = 'live', approved_by = :by, approved_at = :now
                   WHERE job_id = :id""",
                ids,
            )
            # What was entered in the review counts for the API's tools from now on.
            connection.execute(
                """INSERT INTO api_credentials (api, scheme, sealed)
                   SELECT :api, scheme, sealed FROM review_credentials WHERE job_id = :id
                   ON CONFLICT (api, scheme) DO UPDATE SET sealed = excluded.sealed""",
                ids,
            )
            connection.execute("DELETE FROM review_credentials WHERE job_id = :id", ids)
            detail = {"api": job.api, "job_id": job.job_id, "source": job.source}
            audit.append(connection, "tools_approved", actor=by, via="rest", detail=detail)

        await self._state.transact(work)

    async def remove(self, job: ImportJob, by: str) -> None:
        """Mark a job as removed and record it in the audit trail."""

        def work(connection: Connection) -> None:
            sql = "UPDATE import_jobs SET status = 'removed' WHERE job_id = :id AND status = :status"
            connection.execute(sql, {"id": job.job_id, "status": job.status})
            connection.execute("DELETE FROM review_credentials WHERE job_id = :id", {"id": job.job_id})
            kind = "tools_removed" if job.status == "live" else "import_removed"
            audit.append(
                connection, kind, actor=by, via="rest", detail={"api": job.api, "job_id": job.job_id}
            )

        await self._state.transact(work)

    async def _jobs(self, where: str, params: dict[str, Any]) -> list[ImportJob]:
        names = ", ".join(ImportJob.__slots__)
        rows = await self._state.read(f"SELECT {names} FROM import_jobs {where}", params)
        encoded = ("progress", "variables", "allowed_hosts")
        return [
            ImportJob(**row | {name: orjson.loads(row[name] or b"null") for name in encoded}) for row in rows
        ]


def _check_status(connection: Connection, job_id: str, status: str) -> None:
    (job,) = connection.execute("SELECT status FROM import_jobs WHERE job_id = :id", {"id": job_id})
    if job["status"] != status:
        raise ReviewOutdated(f"import job {job_id} is {job['status']} now; nothing was changed")


def _row(job_id: str, one: ReviewedOperation) -> dict[str, Any]:
    values = {name: getattr(one, name) for name in _COLUMNS}
    customer = _json(one.customer.as_json()) if one.customer else None
    return values | {"job_id": job_id, "proposal": _json(one.proposal), "customer": customer}


def _reviewed(row: dict[str, Any]) -> ReviewedOperation | None:
    """The operation of a row; None if it can't be read, so that the others still work."""
    flags = {name: bool(row[name]) for name in ("enabled", "needs_approval", "idempotent")}
    try:
        customer = rule_of(orjson.loads(row["customer"] or b"null"))
        parsed = {"proposal": orjson.loads(row["proposal"]), "customer": customer}
        return ReviewedOperation(**row | flags | parsed)
    except (orjson.JSONDecodeError, TypeError) as error:
        log.error("operation_unreadable", key=row["key"], error=repr(error))
        return None


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
