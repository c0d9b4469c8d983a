"""How many connections a process serves: as many as its settings and the operating system permit."""

import resource
from collections.abc import Iterator

import pytest

from smart_support import Settings
from smart_support.server.connection_limits import OTHER_DESCRIPTORS, ConnectionLimits


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_of_descriptors_is_raised_as_far_as_needed() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    assert ConnectionLimits(Settings(max_connections=900)).connections == 900
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (900 + OTHER_DESCRIPTORS, hard)


def test_an_ample_soft_limit_stays() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert ConnectionLimits(Settings(max_connections=10)).connections == 10
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_a_low_hard_limit_permits_fewer_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (512, 1024))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert ConnectionLimits(Settings(max_connections=4000)).connections == 1024 - OTHER_DESCRIPTORS
