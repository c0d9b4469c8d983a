"""Group commit: one thread takes all that waits and commits it at once. What that means, its owner knows."""

import asyncio
import concurrent.futures
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import groupby
from typing import Generic, NamedTuple, TypeVar

from smart_support.errors import EventRefused, StorageFailed
from smart_support.observability.log import get_logger

log = get_logger()

W = TypeVar("W")
Done = asyncio.Future[None]


class Gathering(Generic[W]):
    """Commits what is put in, in order, and does between two commits what `do` is given."""

    def __init__(
        self,
        commit: Callable[[list[W]], None],
        failed: str,
        seconds: float,
        refusals: tuple[type[Exception], ...] = (),
    ) -> None:
        """
        Args:
            commit: called in the one thread; what it was given is durable when it returns.
            failed: what to tell who waits where it raised.
            seconds: how long things wait for more that could share their commit.
            refusals: what `commit` raises, with nothing committed, because of what is in one of the things it
                was given. The others are then committed without that one.
        """
        self._commit = commit
        self._failed = failed
        self._seconds = seconds
        self._refusals = refusals
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
            awaited: somebody waits for it, and no more of theirs follows that could share its commit: it
                goes at once, unless the last commit is not past for `seconds`.

        Returns:
            A future that is done once it is durable, or holds `StorageFailed`; `EventRefused` where only this
            one can't be committed.
        """
        done = _future()
        self._hand_in(_Item(what, False, awaited, done))
        return done

    def hand(self, what: W) -> None:
        """As `put` of something awaited: from any thread, and nobody is told when it is done."""
        self._hand_in(_Item(what, False, True, None))

    def do(self, work: Callable[[], None]) -> Done:
        """Have work done by the thread, at once, after all that was put in before it."""
        done = _future()
        self._hand_in(_Item(work, True, True, done))
        return done

    def later(self, work: Callable[[], None]) -> Callable[[], None]:
        """As `do`, once what this returns is called: from any thread, and nobody is told when it is done."""
        return lambda: self._hand_in(_Item(work, True, True, None))

    def close(self) -> None:
        """Commit what was put in, and end."""
        self._queue.put(None)
        self._thread.join()

    def _hand_in(self, item: "_Item[W]") -> None:
        self._handed_in.append(time.monotonic())
        self._queue.put(item)

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
        until = time.monotonic() + self._seconds
        with contextlib.suppress(queue.Empty):
            while (item := batch[-1]) is not None:
                if item.awaited:
                    until = min(until, committed + (0 if item.is_work else self._seconds))
                batch.append(self._queue.get(timeout=max(0, until - time.monotonic())))
        return batch

    def _together(self, items: list["_Item[W]"], work: object = None) -> None:
        failure: StorageFailed | None = None
        try:
            if callable(work):
                work()
            else:
                self._commit([item.what for item in items])  # type: ignore[misc]
        except self._refusals as error:
            if len(items) > 1:
                half = len(items) // 2
                self._together(items[:half])
                self._together(items[half:])
                return
            log.error("event_refused", error=repr(error))
            failure = EventRefused("The event log can't hold this event.")
        except Exception as error:
            log.error("event_log_write_failed", events=len(items), error=str(error))
            failure = StorageFailed(self._failed)
        for _ in items:
            self._handed_in.popleft()
        told = [item.done for item in items if item.done]
        if told:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                told[0].get_loop().call_soon_threadsafe(_settle, told, failure)


class Awaited:
    """Work that one thread does while another, which is not the loop's, waits for it."""

    def __init__(self, work: Callable[[], None], failed: str) -> None:
        """`failed`: what to tell who waits where it raised, or took too long."""
        self._work = work
        self._failed = failed
        self._done: concurrent.futures.Future[None] = concurrent.futures.Future()

    def __call__(self) -> None:
        """Do it."""
        try:
            self._work()
        except BaseException as error:
            self._done.set_exception(error)
            raise
        self._done.set_result(None)

    def wait(self, seconds: float) -> None:
        """Return once it is done; raises `StorageFailed`."""
        try:
            self._done.result(seconds)
        except Exception:
            raise StorageFailed(self._failed) from None


class _Item(NamedTuple, Generic[W]):
    what: W | Callable[[], None]
    is_work: bool
    awaited: bool
    done: Done | None


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
