"""Fixtures for all tests: the app in a child process, shared by those that leave no mark on each other."""

import atexit
import functools
import gc
import os
import sys
from collections.abc import Callable, Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from tenacity import wait_none

from smart_support import clock
from tests.support.examples import examples
from tests.support.guarded import guarded  # noqa: F401
from tests.support.harness import AppProcess, demo_orders
from tests.support.new_databases import copy_new_databases
from tests.support.worker_forks import serve_forks

TESTS = Path(__file__).parent
THREADS = count()
MARK_OF_FOLDER = {TESTS / "browser": "browser", TESTS / "cluster": "postgres", TESTS / "faults": "kill"}
SLOW = ("nightly", "browser", "postgres", "kill", "app", "slow")
# The files that take longest begin first, so that no worker waits for another one at the end.
FIRST = (TESTS / "faults", TESTS / "browser", TESTS / "cluster", TESTS)
STARTING = (
    "AppProcess",
    "LocalApp",
    "serving",
    "run_python",
    "create_app",
    "Popen",
    "subprocess.run",
    "FORKING.Process",
)

# A deadline for each example would measure how busy the machine is.
settings.register_profile("suite", deadline=None, max_examples=examples(100))
settings.load_profile("suite")

# What DuckDB's binding lists when Python ends (hypothesis keeps its types alive) comes after the result.
atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))


# What an HTTP client trusts. By default each one loads the authorities of the whole web, for 50 ms, and tests
# make one for every request. They talk to this machine only, so one authority that nobody uses will do.
os.environ["SSL_CERT_FILE"] = str(TESTS / "support" / "authority.pem")

copy_new_databases()

# Imports and items live to the end: looking for garbage among them would take a third of their time.
gc.disable()


def pytest_collection_finish() -> None:
    """Exclude what is there before the first test from collections of garbage, as the app does."""
    gc.freeze()
    # By default after each 700: the collections of the oldest objects look at all that tests have kept.
    gc.set_threshold(10_000, 10, 10)
    gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--fast`, for `make test-fast`."""
    parser.addoption("--fast", action="store_true", help=f"run no test that is marked {', '.join(SLOW)}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Import the tests once for all workers."""
    if sys.platform == "linux":  # elsewhere a fork may lack what libraries of the system need
        serve_forks(config, specs)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `--fast`, import no file whose tests are all left out: it may import the whole application."""
    return (config.getoption("--fast") and bool(_marks_of(collection_path))) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark and order tests by what they need; with `--fast`, leave out those that are not fast."""
    for item in items:
        for mark in _marks_of(item.path):
            item.add_marker(mark)
        if "kill" in item.name:
            item.add_marker("kill")
        if {"server", "guarded"} & {*getattr(item, "fixturenames", ())}:
            item.add_marker("app")
    items.sort(key=lambda item: FIRST.index(item.path.parent) if item.path.parent in FIRST else len(FIRST))
    if config.getoption("--fast"):
        slow = [item for item in items if any(item.get_closest_marker(mark) for mark in SLOW)]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in {*slow}]


@functools.cache
def _marks_of(path: Path) -> frozenset[str]:
    """The marks that all tests of a folder or file have because of where it is and what it starts."""
    marks = {mark for folder, mark in MARK_OF_FOLDER.items() if folder in (path, *path.parents)}
    if path.suffix == ".py":
        marks |= {"kill"} if "kill" in path.name else set()
        source = path.read_text(encoding="utf-8")
        marks |= {"app"} if any(f"{name}(" in source for name in STARTING) else set()
    return frozenset(marks)


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


@pytest.fixture
def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another try of a call or a webhook follows at once."""
    for module in ("gate.retry", "escalations.webhook"):
        monkeypatch.setattr(f"smart_support.{module}.WAIT", wait_none())


@pytest.fixture(scope="session")
def take_order() -> Callable[[str], str]:
    """Gives an order id of a status that no other test on the shared app has.

    `changeable`: an unpaid one while there are any, then one that is `processing`.
    """
    paid = demo_orders("processing")
    left: dict[str, Iterator[str]] = {"processing": paid, "changeable": chain(demo_orders("pending"), paid)}

    def take(status: str) -> str:
        if status not in left:
            left[status] = demo_orders(status)
        return next(left[status])

    return take


@pytest.fixture
def thread_id() -> str:
    """A conversation of one's own; the console names it by the last four characters."""
    return f"test-{clock.new_id()}-{next(THREADS):04}"
