"""Processes that share a system, and the Postgres they share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import AppProcess
from tests.postgres import Postgres, is_installed
from tests.stores import POSTGRES


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A cluster of these tests' own, which they may restart."""
    if not is_installed():
        pytest.skip("no Postgres is installed; make test-postgres installs one")
    before = os.environ.get(POSTGRES)
    cluster = Postgres().start()
    os.environ[POSTGRES] = cluster.url
    yield cluster
    cluster.stop()
    if before is None:
        del os.environ[POSTGRES]
    else:
        os.environ[POSTGRES] = before


@pytest.fixture
def machine(postgres: Postgres, tmp_path: Path) -> Iterator[Callable[..., AppProcess]]:
    """Makes one more process of the same system; each could be on a machine of its own."""
    made: list[AppProcess] = []

    def one_more(**settings: object) -> AppProcess:
        made.append(AppProcess(tmp_path / "var", **settings).start())
        return made[-1]

    yield one_more
    for app in made:
        app.stop()
