"""Sizes and rates: what a message may be, and how many a thread may send."""

import math
import re
import time
from typing import Any

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from smart_support.errors import InvalidContent, InvalidThreadId, RateLimited
from smart_support.settings import Settings

_THREAD_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def checked_thread_id(value: Any) -> str:
    """`value` if it is a thread id; raises `InvalidThreadId` otherwise."""
    if isinstance(value, str) and _THREAD_ID.fullmatch(value):
        return value
    raise InvalidThreadId("thread_id: give 1 to 128 characters of A-Z a-z 0-9 _ . : -")


class Limits:
    """The limits of one deployment."""

    def __init__(self, settings: Settings) -> None:
        count, seconds = settings.messages_per_window
        self._item = RateLimitItemPerSecond(count, seconds)
        # In memory nothing blocks; the library's async storage visits every key in a thread on each hit.
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
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

    def count_message(self, thread_id: str) -> None:
        """Count one message of a thread; raises `RateLimited` with the seconds to wait if it is too many."""
        if self._limiter.hit(self._item, thread_id):
            return
        window = self._limiter.get_window_stats(self._item, thread_id)
        raise RateLimited(max(1, math.ceil(window.reset_time - time.time())))
