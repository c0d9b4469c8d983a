"""What a piece of work costs, as a multiple of a fixed one, so that a slow machine fails no test."""

import resource
import time
from collections.abc import Callable

_LOOP = 1_000_000


def _cpu_seconds() -> float:
    """The CPU time of this process and of the child processes it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _loop_seconds() -> float:
    began = _cpu_seconds()
    for _ in range(_LOOP):
        pass
    return _cpu_seconds() - began


def cost(work: Callable[[], object]) -> float:
    """The CPU time of `work`, in loops of a million empty rounds (about 0.02 s) made before and after it."""
    before = _loop_seconds()
    began = _cpu_seconds()
    work()
    spent = _cpu_seconds() - began
    return spent / max(before, _loop_seconds())
