"""The stores that tests run on: files, or the Postgres that the environment names (see postgres.py)."""

import hashlib
import os
from pathlib import Path

import pytest

from smart_support.storage.state.base import StateDatabase
from smart_support.storage.state.sqlite import SqliteStateDatabase

POSTGRES = "SMART_SUPPORT_TEST_POSTGRES"
# Backups, compaction and the like of the embedded files, which are not there on a shared database.
of_files = pytest.mark.skipif(POSTGRES in os.environ, reason="of the embedded files")


def database_url(folder: Path) -> str:
    """The address of the database that belongs to a data folder; empty where tests run on files."""
    if POSTGRES not in os.environ:
        return ""
    from tests.support.postgres import database

    return database(f"t{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}")


def state_of(folder: Path) -> StateDatabase:
    """The state database of a data folder."""
    url = database_url(folder)
    if not url:
        return SqliteStateDatabase(folder / "state.sqlite")
    from smart_support.storage.state.postgres import PostgresStateDatabase

    return PostgresStateDatabase(url)


def named(folder: Path) -> dict[str, str]:
    """The settings, as variables, by which commands find what an app with this data folder keeps."""
    url = database_url(folder)
    return {"SMART_SUPPORT_DATA_DIR": str(folder)} | ({"SMART_SUPPORT_DATABASE_URL": url} if url else {})
