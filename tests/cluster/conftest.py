"""Processes that share a system, and the Postgres they share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.harness import AppProcess
from tests.support.postgres import Postgres, is_installed
from tests.support.stores import POSTGRES


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A cluster of these tests' own, which they may restart."""
    if not is_installed():
        pytest.skip("no Postgres is installed; make test-postgres installs one")
    cluster = Postgres().start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="package", autouse=True)
def _on_postgres(postgres: Postgres) -> Iterator[None]:
    """Only these tests: others go on with what they were on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(POSTGRES, postgres.url)
        yield


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AppProcess, AppProcess]]:
    """Two processes of one system, for tests that end neither. Use threads of your own."""
    data_dir = tmp_path_factory.mktemp("pair") / "var"
    with AppProcess(data_dir) as here, AppProcess(data_dir) as there:
        yield here, there


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[..., AppProcess]]:
    """Makes one more process of the same system; each could be on a machine of its own."""
    made: list[AppProcess] = []

    def one_more(**settings: object) -> AppProcess:
        made.append(AppProcess(tmp_path / "var", **settings).start())
        return made[-1]

    yield one_more
    for app in made:
        app.stop()
