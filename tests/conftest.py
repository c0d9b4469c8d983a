"""Fixtures for all tests: the app in a child process, shared by those that leave no mark on each other."""

import atexit
import functools
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from smart_support import clock
from tests.support.examples import examples
from tests.support.guarded import guarded  # noqa: F401
from tests.support.harness import AppProcess, demo_orders

TESTS = Path(__file__).parent
MARK_OF_FOLDER = {TESTS / "browser": "browser", TESTS / "cluster": "postgres", TESTS / "faults": "kill"}
STARTING = ("AppProcess", "LocalApp", "serving", "run_python", "create_app", "Popen", "subprocess.run")

# A deadline for each example would measure how busy the machine is.
settings.register_profile("suite", deadline=None, max_examples=examples(100))
settings.load_profile("suite")

# What DuckDB's binding lists when Python ends (hypothesis keeps its types alive) comes after the result.
atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))


# What an HTTP client trusts. By default each one loads the authorities of the whole web, for 50 ms, and tests
# make one for every request. They talk to this machine only, so one authority that nobody uses will do.
os.environ["SSL_CERT_FILE"] = str(TESTS / "support" / "authority.pem")

# Imports and items live to the end: looking for garbage among them would take a third of their time.
gc.disable()


def pytest_collection_finish() -> None:
    """Exclude what is there before the first test from collections of garbage, as the app does."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test-fast` leaves out: browsers, Postgres, kills, and apps that a test file starts."""
    for item in items:
        for folder, mark in MARK_OF_FOLDER.items():
            if folder in item.path.parents:
                item.add_marker(mark)
        if "kill" in item.name or "kill" in item.path.name:
            item.add_marker("kill")
        fixtures = getattr(item, "fixturenames", ())
        if {"server", "guarded"} & {*fixtures} or _starts_apps(item.path):
            item.add_marker("app")


@functools.cache
def _starts_apps(path: Path) -> bool:
    source = path.read_text(encoding="utf-8")
    return any(f"{name}(" in source for name in STARTING)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """The app as it comes, with a fresh data folder. Use threads and orders of your own."""
    with AppProcess(tmp_path_factory.mktemp("shared") / "var") as app:
        yield app


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A folder for an app of one's own."""
    return tmp_path / "var"


@pytest.fixture(autouse=True)
def _real_time() -> Iterator[None]:
    yield
    clock.reset()


@pytest.fixture(scope="session")
def take_order() -> Callable[[str], str]:
    """Gives an order id of a status that no other test on the shared app has."""
    left: dict[str, Iterator[str]] = {}
    return lambda status: next(left.setdefault(status, demo_orders(status)))


@pytest.fixture
def thread_id() -> str:
    """A conversation of one's own."""
    return f"test-{clock.new_id()}"
