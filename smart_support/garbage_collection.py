"""Keeps the garbage collector from stopping the app while many objects are made that stay."""

import contextlib
import gc
from collections.abc import Iterator
from threading import Lock

__all__ = ["paused_garbage_collection", "without_garbage_collection"]

_lock = Lock()
_users = [0]


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Disable garbage collection, and exclude the objects made meanwhile from later ones.

    The app has 300,000 objects that live as long as the process, and a large API description has as many.
    Collections take a sixth of the start, and each one stops all turns for a fifth of a second. What is
    excluded is still freed with its last reference; only cycles that exist at this moment are never freed.
    May be used by several threads at once: collection begins again when the last of them ends.
    """
    with paused_garbage_collection():
        try:
            yield
        finally:
            gc.freeze()


@contextlib.contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Disable garbage collection while many objects are made that are freed with their last reference.

    Collections would look at all of them and find nothing. What is left at the end is collected later.
    """
    with _lock:
        _users[0] += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _users[0] -= 1
            if not _users[0]:
                gc.enable()
