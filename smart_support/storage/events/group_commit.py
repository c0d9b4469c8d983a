"""Group commit: one thread commits everything that is queued in as few transactions as possible."""

import asyncio
import concurrent.futures
import contextlib
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Generic, NamedTuple, TypeVar

from smart_support.errors import EventRefused, StorageFailed
from smart_support.observability.log import get_logger

log = get_logger()

T = TypeVar("T")
Work = Callable[[], None]
Done = asyncio.Future[None]
# How long a thread waits in `run_blocking`.
BLOCKING_SECONDS = 10


def nothing() -> None:
    """Work that only shows, when it is done, that everything queued before it is done."""


class Chain:
    """Items of which none is stored after one that could not be, so that what is stored has no gap.

    Attributes:
        failure: why an item could not be stored; None while all were, or were refused.
    """

    def __init__(self) -> None:
        self.failure: StorageFailed | None = None


class GroupCommit(Generic[T]):
    """Commits queued items in order, and runs other work between two commits. Owns a thread for both."""

    def __init__(
        self,
        commit: Callable[[list[T]], None],
        failure_message: str,
        interval_seconds: float,
        refusals: tuple[type[Exception], ...] = (),
    ) -> None:
        """
        Args:
            commit: called in the thread; the items are durable when it returns.
            failure_message: of the `StorageFailed` that callers get where `commit` or their work raised.
            interval_seconds: how long items wait for others that could share their commit.
            refusals: exceptions by which `commit` says that one of the items can't be stored, and that
                nothing was committed. The other items are then committed without that one.
        """
        self._commit = commit
        self._failure_message = failure_message
        self._interval_seconds = interval_seconds
        self._refusals = refusals
        # `None` ends the thread.
        self._queue: queue.SimpleQueue[_Entry[T] | None] = queue.SimpleQueue()
        # The time at which each entry that is not done yet was queued.
        self._queued_at: deque[float] = deque()
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many entries are not done yet."""
        return len(self._queued_at)

    @property
    def lag_seconds(self) -> float:
        """How long the oldest of them has waited."""
        try:
            return time.monotonic() - self._queued_at[0]
        except IndexError:
            return 0.0

    def put(
        self,
        item: T,
        *,
        urgent: bool = False,
        chain: Chain | None = None,
        wait_seconds: float | None = None,
    ) -> Done:
        """Queue an item to be committed.

        Args:
            wait_seconds: how long it waits for others, where that is not `interval_seconds`.
            chain: what the item belongs to, if it is worth nothing without those before it.
            urgent: commit it without waiting for others, but `interval_seconds` after the last commit.

        Returns:
            A future that is done once the item is durable, or holds `StorageFailed`; `EventRefused` where
            only this item can't be stored.
        """
        done = asyncio.get_running_loop().create_future()
        self._add(_Entry(item, False, urgent, done, chain, wait_seconds))
        return done

    def put_from_thread(self, item: T) -> None:
        """As `put(urgent=True)`, from any thread. The caller does not learn when it is done."""
        self._add(_Entry(item, False, True, None))

    def run(self, work: Work) -> Done:
        """Run work in the thread as soon as everything queued before it is done."""
        done = asyncio.get_running_loop().create_future()
        self._add(_Entry(work, True, True, done))
        return done

    def run_blocking(self, work: Work = nothing, timeout_seconds: float | None = BLOCKING_SECONDS) -> None:
        """As `run`, and block until it is done. For threads other than this one and the event loop's.

        Raises:
            StorageFailed: the work failed, or is not done in time.
        """
        done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._add(_Entry(work, True, True, done))
        try:
            done.result(timeout_seconds)
        except TimeoutError:
            raise StorageFailed(self._failure_message) from None

    def close(self) -> None:
        """Finish everything that is queued, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _add(self, entry: "_Entry[T]") -> None:
        self._queued_at.append(time.monotonic())
        self._queue.put(entry)

    def _run(self) -> None:
        closing, committed_at = False, 0.0
        while not closing:
            batch = self._next_batch(committed_at)
            closing = None in batch
            entries = [entry for entry in batch if entry is not None]
            for is_work, group in groupby(entries, key=lambda entry: entry.is_work):
                if not is_work:
                    self._execute(list(group))
                    continue
                for entry in group:
                    self._execute([entry], entry.what)
            committed_at = time.monotonic()

    def _next_batch(self, committed_at: float) -> list["_Entry[T] | None"]:
        batch = [self._queue.get()]
        deadline = math.inf
        with contextlib.suppress(queue.Empty):
            while (entry := batch[-1]) is not None:
                wait_seconds = self._interval_seconds if entry.wait_seconds is None else entry.wait_seconds
                deadline = min(deadline, time.monotonic() + wait_seconds)
                if entry.urgent:
                    deadline = min(deadline, committed_at + (0 if entry.is_work else self._interval_seconds))
                batch.append(self._queue.get(timeout=max(0, deadline - time.monotonic())))
        return batch

    def _execute(self, entries: list["_Entry[T]"], work: object = None) -> None:
        failure: StorageFailed | None = None
        if lost := [entry for entry in entries if entry.chain and entry.chain.failure]:
            self._finish(lost, StorageFailed(self._failure_message))
            entries = [entry for entry in entries if not (entry.chain and entry.chain.failure)]
        try:
            if callable(work):
                work()
            elif entries:
                self._commit([entry.what for entry in entries])  # type: ignore[misc]
        except self._refusals as error:
            if len(entries) > 1:
                half = len(entries) // 2
                self._execute(entries[:half])
                self._execute(entries[half:])
                return
            log.error("event_refused", error=repr(error))
            failure = EventRefused("The event log can't hold this event.")
        except Exception as error:
            log.error("event_log_write_failed", events=len(entries), error=str(error))
            failure = StorageFailed(self._failure_message)
            for entry in entries:
                if entry.chain:
                    entry.chain.failure = failure
        self._finish(entries, failure)

    def _finish(self, entries: list["_Entry[T]"], failure: StorageFailed | None) -> None:
        for _ in entries:
            self._queued_at.popleft()
        _settle(entries, failure)


class _Entry(NamedTuple, Generic[T]):
    what: T | Work
    is_work: bool
    urgent: bool
    done: Done | concurrent.futures.Future[None] | None
    chain: Chain | None = None
    wait_seconds: float | None = None


def _settle(entries: "list[_Entry[Any]]", failure: StorageFailed | None) -> None:
    """Complete the futures of entries; those of the event loop in a single call to it."""
    futures = [entry.done for entry in entries if isinstance(entry.done, asyncio.Future)]
    if futures:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing awaits them any more
            futures[0].get_loop().call_soon_threadsafe(_complete, futures, failure)
    _complete([entry.done for entry in entries if isinstance(entry.done, concurrent.futures.Future)], failure)


def _complete(
    futures: Sequence[Done | concurrent.futures.Future[None]], failure: StorageFailed | None
) -> None:
    for future in futures:
        if future.done():
            continue  # cancelled by its caller
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
