"""How many examples a property of hypothesis gets: all in `make test-nightly`, a part in every other run."""

import os

IS_NIGHTLY = os.environ.get("NIGHTLY") == "1"
EVERYDAY_PART = 5


def examples(count: int) -> int:
    """The number of examples for this run: `count` at night, else a fifth of it, but not less than five."""
    return count if IS_NIGHTLY else min(count, max(5, count // EVERYDAY_PART))
