"""Words among the processes that share a system: that something has changed, and what is being said.

Nothing depends on them alone: whoever misses one finds the same truth in the database. Here is the bus of one
process, which has nobody to talk to; that of many is in shared/bus.py.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from smart_support import clock
from smart_support.observability.log import get_logger

log = get_logger()

Heard = Callable[[dict[str, Any]], None]
# What was said while nobody could listen: `on(MISSED, ...)` is called once they can again.
MISSED = "missed"


class Bus:
    """For one process: what it says reaches nobody else.

    Attributes:
        name: of this process among them; a new one at each start.
    """

    def __init__(self) -> None:
        self.name = clock.new_id()
        self._heard: dict[str, list[Heard]] = defaultdict(list)

    @property
    def alone(self) -> bool:
        """Whether there can be no other process."""
        return True

    def on(self, topic: str, heard: Heard) -> None:
        """Call `heard` with what other processes say on `topic`, in the order in which each says it."""
        self._heard[topic].append(heard)

    def say(self, topic: str, **what: Any) -> None:
        """Tell the other processes; returns at once."""

    async def close(self) -> None:
        """Say what is still to be said, and listen no more."""

    def _tell(self, topic: str, what: dict[str, Any]) -> None:
        for heard in self._heard.get(topic, ()):
            try:
                heard(what)
            except Exception as error:
                log.error("not_understood", topic=topic, error=repr(error))
