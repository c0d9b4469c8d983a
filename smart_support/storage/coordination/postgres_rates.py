"""A storage for the `limits` library in PostgreSQL, for which it has none of its own.

It supports one strategy of that library, the moving window.
"""

from typing import Any

import psycopg
from limits.storage import MovingWindowSupport, Storage
from psycopg_pool import ConnectionPool

from smart_support.storage.state.postgres import ServerConnection

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))"
_DELETE_EXPIRED = "DELETE FROM rate_hits WHERE key = %s AND at <= extract(epoch FROM clock_timestamp()) - %s"
_COUNT = "SELECT count(*) AS hits, min(at) AS first FROM rate_hits WHERE key = %s"
_HIT = """
    INSERT INTO rate_hits SELECT %s, extract(epoch FROM clock_timestamp()) FROM generate_series(1, %s)
"""
_WINDOW = """
    SELECT count(*) AS hits, COALESCE(min(at), extract(epoch FROM clock_timestamp())) AS first FROM rate_hits
    WHERE key = %s AND at > extract(epoch FROM clock_timestamp()) - %s
"""


class PostgresRateStorage(Storage, MovingWindowSupport):
    """Counts hits in a table, by the clock of the database: the processes share it."""

    STORAGE_SCHEME: Any = None

    def __init__(self, pool: "ConnectionPool[ServerConnection]") -> None:
        super().__init__()
        self._pool = pool

    @property
    def base_exceptions(self) -> type[Exception]:
        """What is raised where the database fails."""
        return psycopg.Error

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a hit unless that makes more than `limit` in `expiry` seconds; whether it was counted."""
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(_LOCK, [key])
            connection.execute(_DELETE_EXPIRED, [key, expiry])
            if connection.execute(_COUNT, [key]).fetchall()[0]["hits"] + amount > limit:
                return False
            connection.execute(_HIT, [key, amount])
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The time of the oldest hit in the window, and the number of hits."""
        with self._pool.connection() as connection:
            row = connection.execute(_WINDOW, [key, expiry]).fetchall()[0]
        return float(row["first"]), int(row["hits"])

    def clear(self, key: str) -> None:
        """Forget the hits of a key."""
        with self._pool.connection() as connection:
            connection.execute("DELETE FROM rate_hits WHERE key = %s", [key])

    def reset(self) -> int | None:
        """Forget all hits."""
        with self._pool.connection() as connection:
            return connection.execute("DELETE FROM rate_hits").rowcount

    def check(self) -> bool:
        """Whether the database answers."""
        with self._pool.connection() as connection:
            return bool(connection.execute("SELECT 1").fetchall())

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Not needed for the moving window."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Not needed for the moving window."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Not needed for the moving window."""
        raise NotImplementedError
