"""The demo businesses, each in a file of its own, and their tools by name."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smart_support import clock
from smart_support.demo.shop.tools import CommerceTools
from smart_support.demo.store import DemoStore
from smart_support.demo.toolset import DemoToolset
from smart_support.settings import ROOT
from smart_support.tools.registry import Call, Registry, tools_of

SEED = ROOT / "data" / "shop"
Use = Callable[..., Awaitable[dict[str, Any]]]


def seed_of(toolset: type[DemoToolset]) -> Path:
    """The folder of a business's committed rows."""
    return ROOT / "data" / toolset.business


@pytest.fixture
def toolset(request: pytest.FixtureRequest) -> type[DemoToolset]:
    """The toolset of the module's `TOOLSET`; the shop's where it names none."""
    return getattr(request.module, "TOOLSET", CommerceTools)


@pytest.fixture
def store(tmp_path: Path, toolset: type[DemoToolset]) -> Iterator[DemoStore]:
    opened = DemoStore(tmp_path / "demo.sqlite", seed_of(toolset), toolset.business)
    yield opened
    opened.close()


@pytest.fixture
def registry(store: DemoStore, toolset: type[DemoToolset]) -> Registry:
    return Registry(tools_of(toolset(store)))


@pytest.fixture
def use(registry: Registry) -> Use:
    """Calls a tool as the gate does, each time with a key of its own unless one is given."""

    async def call(name: str, key: str | None = None, **args: Any) -> dict[str, Any]:
        tool = registry.get(name)
        assert tool
        tool.check(args)
        result: dict[str, Any] = await tool.run(tool.exact(args), Call("t", "c", key or clock.new_id()))
        return result

    return call
