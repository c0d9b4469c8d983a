"""The jobs that load an API or an MCP server for review."""

import time
from collections.abc import Callable
from typing import Any

from tests.support.harness import AppProcess

LOADING_SECONDS = 60


def loaded(read_job: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A job once it has been loaded, or has failed.

    Args:
        read_job: asks the app for the job as it is now.
    """
    deadline = time.monotonic() + LOADING_SECONDS
    while (job := read_job())["status"] == "loading":
        assert time.monotonic() < deadline, f"still loading: {job}"
        time.sleep(0.02)  # A job has no event to await over REST.
    return job


def imported(app: AppProcess, spec: dict[str, Any], *, is_approved: bool = True) -> dict[str, Any]:
    """The job of a description that was imported, and approved if nothing else is said."""
    job_id = app.post("/openapi/import", {"spec": spec}).json()["data"]["job_id"]
    job = loaded(lambda: app.get(f"/openapi/jobs/{job_id}"))
    assert job["status"] == "review", job
    if is_approved:
        answer = app.post(f"/openapi/jobs/{job_id}/approve", {})
        assert answer.status_code == 200, answer.text
    return job


def remove_live_imports(app: AppProcess) -> None:
    """Take every import out of use, so that the next test finds none."""
    for job in app.get("/openapi/jobs"):
        if job["status"] == "live":
            answer = app.post(f"/openapi/jobs/{job['job_id']}/remove", {})
            assert answer.status_code == 200, answer.text
