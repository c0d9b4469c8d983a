"""Group commit: one thread takes all that waits and commits it at once. What that means, its owner knows."""

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import groupby
from typing import Generic, NamedTuple, TypeVar

from smart_support.errors import StorageFailed
from smart_support.log import get_logger

log = get_logger()

# A commit costs 2 ms of CPU however little is in it; what turns say within this time shares one.
GATHER_SECONDS = 0.01

W = TypeVar("W")
Done = asyncio.Future[None]


class Gathering(Generic[W]):
    """Commits what is put in, in order, and does between two commits what `do` is given."""

    def __init__(self, commit: Callable[[list[W]], None], failed: str) -> None:
        """
        Args:
            commit: called in the one thread; what it was given is durable when it returns.
            failed: what to tell who waits where it raised.
        """
        self._commit = commit
        self._failed = failed
        self._queue: queue.SimpleQueue[_Item[W] | None] = queue.SimpleQueue()
        # When each thing that is not committed yet was handed in.
        self._handed_in: deque[float] = deque()
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How much is not committed yet."""
        return len(self._handed_in)

    @property
    def lag_seconds(self) -> float:
        """How long the oldest of it has waited."""
        try:
            return time.monotonic() - self._handed_in[0]
        except IndexError:
            return 0.0

    def put(self, what: W, *, awaited: bool = False) -> Done:
        """Have it committed.

        Args:
            awaited: somebody waits for it, and no more of theirs follows that could share its commit.

        Returns:
            A future that is done once it is durable, or holds `StorageFailed`.
        """
        return self._hand_in(_Item(what, False, awaited, _future()))

    def do(self, work: Callable[[], None]) -> Done:
        """Have work done by the thread, after all that was put in before it."""
        return self._hand_in(_Item(work, True, True, _future()))

    def later(self, work: Callable[[], None]) -> Callable[[], None]:
        """As `do`, once what this returns is called: from any thread, and nobody is told when it is done."""
        item: _Item[W] = _Item(work, True, True, _future())
        item.done.add_done_callback(lambda done: done.exception())  # seen; it is in the log
        return lambda: _ignored(self._hand_in(item))

    def close(self) -> None:
        """Commit what was put in, and end."""
        self._queue.put(None)
        self._thread.join()

    def _hand_in(self, item: "_Item[W]") -> Done:
        self._handed_in.append(time.monotonic())
        self._queue.put(item)
        return item.done

    def _run(self) -> None:
        closing, committed = False, 0.0
        while not closing:
            batch = self._gather(committed)
            closing = None in batch
            taken = [item for item in batch if item is not None]
            for is_work, items in groupby(taken, key=lambda item: item.is_work):
                if not is_work:
                    self._together(list(items))
                    continue
                for item in items:
                    self._together([item], item.what)
            committed = time.monotonic()

    def _gather(self, committed: float) -> list["_Item[W] | None"]:
        """What shares the next commit. `committed`: when the last one ended."""
        batch = [self._queue.get()]
        until = time.monotonic() + GATHER_SECONDS
        with contextlib.suppress(queue.Empty):
            while (item := batch[-1]) is not None:
                if item.awaited:
                    until = min(until, committed + GATHER_SECONDS)
                batch.append(self._queue.get(timeout=max(0, until - time.monotonic())))
        return batch

    def _together(self, items: list["_Item[W]"], work: object = None) -> None:
        failure: StorageFailed | None = None
        try:
            if callable(work):
                work()
            else:
                self._commit([item.what for item in items])  # type: ignore[misc]
        except Exception as error:
            log.error("event_log_write_failed", events=len(items), error=str(error))
            failure = StorageFailed(self._failed)
        for _ in items:
            self._handed_in.popleft()
        loop = items[0].done.get_loop()
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, [item.done for item in items], failure)


class _Item(NamedTuple, Generic[W]):
    what: W | Callable[[], None]
    is_work: bool
    awaited: bool
    done: Done


def _ignored(_done: Done) -> None:
    """Nobody waits for it."""


def _future() -> Done:
    return asyncio.get_running_loop().create_future()


def _settle(futures: list[Done], failure: StorageFailed | None) -> None:
    for done in futures:
        if done.done():
            continue
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(failure)
