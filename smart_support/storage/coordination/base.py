"""The interfaces through which the processes of one system coordinate: a message bus and named locks."""

import contextlib
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Any

from smart_support import clock
from smart_support.observability.log import get_logger

log = get_logger()

Handler = Callable[[dict[str, Any]], None]
# The topic of a gap: its handlers are called after a time in which no message could be received.
MISSED = "missed"


class Bus(ABC):
    """Sends short messages to the other processes of the system.

    Delivery is best effort. A message only announces a change; the truth is in the database.

    Attributes:
        name: identifies this process among the others; a new one at each start.
        is_single_process: whether there can be no other process.
    """

    is_single_process: bool

    def __init__(self) -> None:
        self.name = clock.new_id()
        self._handlers: dict[str, list[Handler]] = defaultdict(list)

    def subscribe(self, topic: str, handler: Handler) -> None:
        """Call `handler` with each message of other processes on `topic`, in each sender's order."""
        self._handlers[topic].append(handler)

    @abstractmethod
    def publish(self, topic: str, **fields: Any) -> None:
        """Send a message to the other processes. Returns at once."""

    @abstractmethod
    async def close(self) -> None:
        """Send what is queued, then stop."""

    def _deliver(self, topic: str, fields: dict[str, Any]) -> None:
        for handler in self._handlers.get(topic, ()):
            try:
                handler(fields)
            except Exception as error:
                log.error("bus_message_failed", topic=topic, error=repr(error))


class Locks(ABC):
    """Named locks between the processes of the system. They do not exclude tasks of one process."""

    @abstractmethod
    def hold(self, name: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Hold a lock that no other process can hold at the same time; waits until it is free.

        Raises:
            StorageFailed: the database does not answer.
        """

    @abstractmethod
    async def held(self, names: Collection[str]) -> set[str]:
        """The names that another process holds right now."""

    @abstractmethod
    def when_lost(self, callback: Callable[[], None]) -> None:
        """Call `callback` when other processes may have taken all locks of this process."""

    @abstractmethod
    async def close(self) -> None:
        """Release all locks."""
