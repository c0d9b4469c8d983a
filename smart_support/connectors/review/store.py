"""Import jobs and their reviewed operations as rows. What may follow what is in jobs.py."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

from smart_support import audit, clock
from smart_support.connectors.review.review import Reviewed
from smart_support.errors import InvalidRequest, NotFound, SmartSupportError, ToolRefused
from smart_support.observability.log import get_logger
from smart_support.storage.state.base import Connection, StateDatabase

log = get_logger()
_COLUMNS = (
    *("key", "fingerprint", "change", "enabled", "access", "needs_approval", "idempotent", "agent"),
    *("tool_name", "description", "risk", "proposal"),
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

_TAKEN = """
    SELECT others.tool_name FROM operations AS others
    JOIN import_jobs ON import_jobs.job_id = others.job_id
    JOIN operations AS own ON own.tool_name = others.tool_name AND own.job_id = :id
    WHERE import_jobs.status = 'live' AND import_jobs.api <> :api
        AND others.enabled = :on AND others.change <> 'gone' AND own.enabled = :on AND own.change <> 'gone'
"""


class ReviewOutdated(SmartSupportError):
    """A review's ground has changed under it; nothing was changed. Raised by `ImportStore`."""

    code = "review_outdated"
    status = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One import.

    Attributes:
        api: what the API is called among the imported ones; the same over re-imports.
        status: `loading`, `review`, `failed`, `live`, `replaced` or `removed`.
        progress: `{"step", "done", "total"}`, and in review `compared_with`: the job that was live then.
        base_url: as the reviewer entered it, else None for the document's own first server.
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
    created_by: str
    created_at: str
    approved_by: str | None
    approved_at: str | None


class ImportStore:
    """Reads and writes them."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state

    async def begin(self, kind: str, source: str, by: str) -> Job:
        """A new job, loading."""
        job_id = clock.new_id()
        await self._state.execute(
            """INSERT INTO import_jobs (job_id, kind, source, api, title, status, progress, created_by,
                   created_at)
               VALUES (:id, :kind, :source, '', :source, 'loading', :progress, :by, :now)""",
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

    async def job(self, job_id: str) -> Job:
        """The job of that id.

        Raises:
            NotFound: there is none.
        """
        rows = await self._jobs("WHERE job_id = :id", {"id": job_id})
        if not rows:
            raise NotFound(f"import job {job_id[:64]!r}: there is none; see GET /api/v1/openapi/jobs")
        return rows[0]

    async def jobs(self, status: str | None = None, limit: int = 100) -> list[Job]:
        """Jobs, the newest first."""
        where = "WHERE (:status IS NULL OR status = :status) ORDER BY job_id DESC LIMIT :limit"
        return await self._jobs(where, {"status": status, "limit": limit})

    async def live(self, api: str) -> Job | None:
        """The job of an API whose tools are in use."""
        rows = await self._jobs("WHERE api = :api AND status = 'live'", {"api": api})
        return rows[0] if rows else None

    async def document(self, job_id: str) -> bytes:
        """What was loaded, as it was kept."""
        rows = await self._state.read("SELECT document FROM import_jobs WHERE job_id = :id", {"id": job_id})
        return bytes(rows[0]["document"] or b"null") if rows else b"null"

    async def update(self, job_id: str, **values: Any) -> None:
        """Set columns of a job; dicts are kept as JSON."""
        plain = {name: _json(value) if isinstance(value, dict) else value for name, value in values.items()}
        names = ", ".join(f"{name} = :{name}" for name in plain)
        await self._state.execute(
            f"UPDATE import_jobs SET {names} WHERE job_id = :job_id", plain | {"job_id": job_id}
        )

    async def fail_left_behind(self, loading: Collection[str]) -> None:
        """Jobs that a crash cut off while loading; not those that another process is `loading`."""
        for job in await self.jobs("loading"):
            if job.job_id not in loading:
                told = "The server was restarted; please import again."
                await self.update(job.job_id, status="failed", error=told)

    async def put(self, job_id: str, reviewed: list[Reviewed]) -> None:
        """The operations of a job, all at once."""

        def work(connection: Connection) -> None:
            for place, one in enumerate(reviewed):
                connection.execute(_INSERT, _row(job_id, one) | {"place": place})

        await self._state.transact(work)

    async def change(self, job_id: str, reviewed: list[Reviewed]) -> None:
        """Operations as a reviewer has changed them.

        Raises:
            ReviewOutdated: the job was approved meanwhile.
        """

        def work(connection: Connection) -> None:
            _check_in_review(connection, job_id)
            for one in reviewed:
                connection.execute(_UPDATE, _row(job_id, one))

        await self._state.transact(work)

    async def operations(self, job_id: str) -> dict[str, Reviewed]:
        """A job's operations by key, in the document's order."""
        rows = await self._state.read(
            f"SELECT {', '.join(_COLUMNS)} FROM operations WHERE job_id = :id ORDER BY place", {"id": job_id}
        )
        return {row["key"]: one for row in rows if (one := _reviewed(row))}

    async def check_in_use(self, job_id: str) -> None:
        """See, right before a call, that the tools of an import are in use, whichever process changed that.

        Raises:
            ToolRefused: they are not; nothing was called.
        """
        rows = await self._state.read("SELECT status FROM import_jobs WHERE job_id = :id", {"id": job_id})
        if not rows or rows[0]["status"] != "live":
            raise ToolRefused(
                "This was taken out of use a moment ago, so nothing was done; please ask again."
            )

    async def former_agents(self) -> list[str]:
        """The agents of all imports that were ever in use: a conversation may still be with one of them."""
        rows = await self._state.read(
            """SELECT DISTINCT agent FROM operations JOIN import_jobs
                   ON import_jobs.job_id = operations.job_id
               WHERE import_jobs.approved_at IS NOT NULL ORDER BY agent"""
        )
        return [str(row["agent"]) for row in rows]

    async def go_live(self, job: Job, by: str) -> None:
        """Make a job the live one of its API, in one step and on the audit record.

        Raises:
            ReviewOutdated: it was approved meanwhile, or another import of the API was.
            InvalidRequest: another API's tool has got one of its names meanwhile.
        """

        def work(connection: Connection) -> None:
            _check_in_review(connection, job.job_id)
            sql = "SELECT job_id, approved_by FROM import_jobs WHERE api = :api AND status = 'live'"
            for live in connection.execute(sql, {"api": job.api}):
                if live["job_id"] != job.progress.get("compared_with"):
                    raise ReviewOutdated(
                        f"import job {job.job_id}: {live['approved_by']} approved another import of this API "
                        "after this one was compared with what was in use; import it again to see what is new"
                    )
            for taken in connection.execute(_TAKEN, {"id": job.job_id, "api": job.api, "on": 1}):
                raise InvalidRequest(f"tool name {taken['tool_name']!r} is taken; choose another")
            ids = {"api": job.api, "id": job.job_id, "by": by, "now": clock.rfc3339(clock.now())}
            connection.execute(
                "UPDATE import_jobs SET status = 'replaced' WHERE api = :api AND status = 'live'", ids
            )
            connection.execute(
                """UPDATE import_jobs SET status = 'live', approved_by = :by, approved_at = :now
                   WHERE job_id = :id""",
                ids,
            )
            detail = {"api": job.api, "job_id": job.job_id, "source": job.source}
            audit.append(connection, "tools_approved", actor=by, via="rest", detail=detail)

        await self._state.transact(work)

    async def remove(self, job: Job, by: str) -> None:
        """Take a job off the list; of a live one, which takes its tools out of use, a record is made."""

        def work(connection: Connection) -> None:
            sql = "UPDATE import_jobs SET status = 'removed' WHERE job_id = :id AND status = :status"
            connection.execute(sql, {"id": job.job_id, "status": job.status})
            kind = "tools_removed" if job.status == "live" else "import_removed"
            audit.append(
                connection, kind, actor=by, via="rest", detail={"api": job.api, "job_id": job.job_id}
            )

        await self._state.transact(work)

    async def _jobs(self, where: str, params: dict[str, Any]) -> list[Job]:
        names = ", ".join(Job.__slots__)
        rows = await self._state.read(f"SELECT {names} FROM import_jobs {where}", params)
        loaded = ("progress", "variables")
        return [Job(**row | {name: orjson.loads(row[name]) for name in loaded}) for row in rows]


def _check_in_review(connection: Connection, job_id: str) -> None:
    (job,) = connection.execute("SELECT status FROM import_jobs WHERE job_id = :id", {"id": job_id})
    if job["status"] != "review":
        raise ReviewOutdated(f"import job {job_id} is {job['status']} by now; nothing was changed")


def _row(job_id: str, one: Reviewed) -> dict[str, Any]:
    values = {name: getattr(one, name) for name in _COLUMNS}
    return values | {"job_id": job_id, "proposal": _json(one.proposal)}


def _reviewed(row: dict[str, Any]) -> Reviewed | None:
    """The operation of a row; None where it can't be read, which must cost nothing but the operation."""
    flags = {name: bool(row[name]) for name in ("enabled", "needs_approval", "idempotent")}
    try:
        return Reviewed(**row | flags | {"proposal": orjson.loads(row["proposal"])})
    except orjson.JSONDecodeError as error:
        log.error("operation_unreadable", key=row["key"], error=repr(error))
        return None


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
