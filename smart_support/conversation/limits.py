"""Limits: the size of a message, the messages of a thread, and the recoveries that run at once."""

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage, Storage
from limits.strategies import MovingWindowRateLimiter

from smart_support.errors import InvalidContent, InvalidThreadId, RateLimited
from smart_support.settings import Settings

T = TypeVar("T")
# Turns that no customer started (after a crash, or when much expires) must not crowd out those that one waits
# for.
RECOVERIES_AT_ONCE = 8
_THREAD_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def checked_thread_id(value: Any) -> str:
    """`value` if it is a thread id; raises `InvalidThreadId` otherwise."""
    if isinstance(value, str) and _THREAD_ID.fullmatch(value):
        return value
    raise InvalidThreadId("thread_id: give 1 to 128 characters of A-Z a-z 0-9 _ . : -")


class Limits:
    """The limits on messages, as the settings have them."""

    def __init__(self, settings: Settings, rates: Storage) -> None:
        """`rates`: where messages are counted."""
        count, seconds = settings.messages_per_window
        self._item = RateLimitItemPerSecond(count, seconds)
        self._limiter = MovingWindowRateLimiter(rates)
        # In memory nothing blocks; the library's async storage visits every key in a thread on each hit.
        self._blocks = not isinstance(rates, MemoryStorage)
        self._max_chars = settings.max_content_chars

    def checked_content(self, value: Any) -> str:
        """`value` if it may be sent as a message; raises `InvalidContent` otherwise."""
        if not isinstance(value, str) or not value.strip():
            raise InvalidContent("content: give the message as text, not empty and not only white space")
        if len(value) > self._max_chars:
            raise InvalidContent(f"content: {len(value)} characters; at most {self._max_chars}")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise InvalidContent(
                "content: holds half a surrogate pair, which is no character; send valid text"
            )
        return value

    async def count_message(self, thread_id: str) -> None:
        """Count one message of a thread; raises `RateLimited` with the seconds to wait if it is too many."""
        if self._blocks:
            await asyncio.to_thread(self._count, thread_id)
        else:
            self._count(thread_id)

    async def count_call(self, caller: str, per_minute: int) -> None:
        """Count one call of an API client; raises `RateLimited` if it is too many in a minute."""
        item, key = RateLimitItemPerMinute(per_minute), f"caller:{caller}"
        if self._blocks:
            await asyncio.to_thread(self._hit, item, key, "calls of this client")
        else:
            self._hit(item, key, "calls of this client")

    def _count(self, thread_id: str) -> None:
        self._hit(self._item, thread_id, "messages on this thread")

    def _hit(self, item: RateLimitItem, key: str, what: str) -> None:
        if self._limiter.hit(item, key):
            return
        window = self._limiter.get_window_stats(item, key)
        raise RateLimited(max(1, math.ceil(window.reset_time - time.time())), what)


class WorkLimit:
    """Limits how many pieces of work run at once."""

    def __init__(self, at_once: int) -> None:
        self._free = asyncio.Semaphore(at_once)

    def wrap(self, work: Callable[[T], Awaitable[None]]) -> Callable[[T], Awaitable[None]]:
        """`work`, which waits until fewer than `at_once` others run."""

        async def limited(argument: T) -> None:
            async with self._free:
                await work(argument)

        return limited
