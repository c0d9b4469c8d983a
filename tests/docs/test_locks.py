"""What is installed is what was locked: every file by its hash, the base image by its exact tag."""

import re
from pathlib import Path

import pytest

from tests.support.harness import ROOT

LOCKS = ("requirements.txt", "requirements-dev.txt", "tests/conformance/requirements.txt")


def _entries(lock: str) -> list[str]:
    """The requirements of a lock, each with its hashes on one line."""
    lines = Path(ROOT / lock).read_text().replace("\\\n", "").splitlines()
    return [line for line in lines if line.strip() and not line.strip().startswith("#")]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_has_a_version_and_hashes(lock: str) -> None:
    entries = _entries(lock)
    assert entries
    for entry in entries:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", entry), entry


def test_a_lock_has_no_address_of_an_index() -> None:
    assert [lock for lock in LOCKS if "://" in Path(ROOT / lock).read_text()] == []


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile"])
def test_hashes_are_required_wherever_pip_installs(name: str) -> None:
    commands = [line for line in (ROOT / name).read_text().splitlines() if "pip install" in line]
    assert commands
    assert [line for line in commands if "--require-hashes" not in line] == []


def test_the_base_image_has_an_exact_tag() -> None:
    images = re.findall(r"(?m)^FROM (\S+)", (ROOT / "Dockerfile").read_text())
    assert len(set(images)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", images[0])
