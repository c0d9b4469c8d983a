"""Tells the failures of a database from those of the code that uses it."""

import sqlite3

FAILED = "A database could not be read or written. Please try again in a moment."


def is_store_failure(error: BaseException) -> bool:
    """Whether a database could not be read or written: a full disk, a lost connection.

    psycopg is known by name, because a system without Postgres never imports it.
    """
    if isinstance(error, sqlite3.OperationalError):
        return True
    names = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__}
    return ("psycopg", "OperationalError") in names
