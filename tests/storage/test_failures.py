"""A database that fails in the middle of work is told as such, on every way."""

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import psycopg_pool
import pytest

from smart_support import Settings, create_app
from smart_support.approvals.queue import ApprovalQueue
from smart_support.storage.checkpoint_file import CheckpointFile
from smart_support.storage.failures import is_store_failure
from tests.support.harness import Client, LocalApp, spoken

FULL = sqlite3.OperationalError("database or disk is full")


async def _fails(*_: Any, **__: Any) -> None:
    raise FULL


@pytest.mark.parametrize(
    "error", [FULL, psycopg.OperationalError("gone"), psycopg.errors.DiskFull(), psycopg_pool.PoolTimeout()]
)
def test_failures_of_each_database_are_known(error: Exception) -> None:
    assert is_store_failure(error)


@pytest.mark.parametrize("error", [ValueError(), sqlite3.IntegrityError(), psycopg.errors.UndefinedTable()])
def test_failures_of_the_code_are_not(error: Exception) -> None:
    assert not is_store_failure(error)


async def test_a_turn_and_a_decision_end_with_storage_error(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalApp(create_app(Settings(data_dir=data_dir))) as app:
        async with await Client.connect(app.ws_url) as client:
            with monkeypatch.context() as broken:
                broken.setattr(CheckpointFile, "aput", _fails)
                assert (await client.turn("t", "Where is my order 1043?"))[-1]["code"] == "storage_error"
            assert "1043" in spoken(await client.turn("t", "Where is my order 1043?"))
            approval_id = (await client.turn("t", "Cancel order 1042"))[-1]["approval_id"]
            with monkeypatch.context() as broken:
                broken.setattr(ApprovalQueue, "decide", _fails)
                path = f"/approvals/{approval_id}/decision"
                answer = app.request("POST", path, json={"decision": "approve"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_error")
