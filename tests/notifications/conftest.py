"""Fixtures for all tests of notifications."""

from tests.support.notifications import receiver, system  # noqa: F401
