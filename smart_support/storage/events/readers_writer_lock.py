"""A lock between threads that many hold to use something, or one holds to replace it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ReadersWriterLock:
    """Held shared by any number of threads, or exclusively by one. A holder need not be the releasing thread.

    While an exclusive holder waits, no more shared holders are let in.
    """

    def __init__(self) -> None:
        # Protects the two fields below. Reentrant.
        self._changed = threading.Condition()
        self._shared_holders = 0
        self._is_exclusive = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock shared; waits while it is held exclusively."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_exclusive)
            self._shared_holders += 1
        try:
            yield
        finally:
            self.release_shared()

    def try_acquire_shared(self) -> bool:
        """Acquire the lock shared if that needs no waiting; whether it was acquired."""
        with self._changed:
            self._shared_holders += not self._is_exclusive
            return not self._is_exclusive

    def release_shared(self) -> None:
        """Release what `try_acquire_shared` acquired."""
        with self._changed:
            self._shared_holders -= 1
            self._changed.notify_all()

    def acquire_exclusive(self) -> None:
        """Let no more shared holders in, and wait until all have released the lock."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_exclusive)
            self._is_exclusive = True
            self._changed.wait_for(lambda: self._shared_holders == 0)

    def try_acquire_exclusive(self) -> bool:
        """As `acquire_exclusive`, unless another thread has it or waits for it; whether it was acquired."""
        with self._changed:
            if self._is_exclusive:
                return False
            self.acquire_exclusive()
            return True

    def release_exclusive(self) -> None:
        """Let shared holders in again."""
        with self._changed:
            self._is_exclusive = False
            self._changed.notify_all()
