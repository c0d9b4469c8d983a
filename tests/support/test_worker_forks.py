"""Workers that are forks: the tests are imported once, and the end of a worker is seen."""

import os
from pathlib import Path

from tests.support.harness import ROOT, run_python

CONFTEST = """\
from tests.support.worker_forks import serve_forks


def pytest_xdist_setupnodes(config, specs):
    serve_forks(config, specs)
"""
TESTS = """\
import os
import signal
import time
from pathlib import Path

with Path(__file__).with_name("imports").open("a") as file:
    file.write("imported\\n")


def test_a():
    print("said in a worker")
    assert os.getppid() != 1


def test_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def test_b():
    assert 1 + 1 == 3
"""


def test_workers_share_one_import_and_one_that_dies_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_some.py").write_text(TESTS)
    options = ("-n", "2", "-p", "no:cacheprovider", "--rootdir", str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = run_python("-m", "pytest", *options, str(tmp_path), environment=environment)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "crashed while running 'test_some.py::test_killed'" in done.stdout
    assert "assert (1 + 1) == 3" in done.stdout
    assert (tmp_path / "imports").read_text() == "imported\n"
