"""The soak at its full size: see `benchmarks/soak.py`, which says what may not happen."""

import subprocess
import sys

import pytest

from tests.support.harness import ROOT


@pytest.mark.nightly
def test_two_hundred_sockets_for_five_minutes() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/soak.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
