"""Restricts what SQL can reach beside the DuckDB file (duckdb.org, "Securing DuckDB")."""

from collections.abc import Iterable
from pathlib import Path

import duckdb

# Set in this order: after the last, no setting can be changed any more.
_SETTINGS = {
    "enable_progress_bar": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "enable_external_access": "false",
    "lock_configuration": "true",
}


def restrict(
    database: duckdb.DuckDBPyConnection, folders: Iterable[Path], files: Iterable[Path | str]
) -> None:
    """Let statements open these absolute paths and no others. It can't be undone.

    Does nothing on an instance that is restricted already (this process opened the same file twice).
    """
    if database.execute("SELECT current_setting('lock_configuration')").fetchall()[0][0]:
        return
    # Before external access is off: afterwards no paths can be allowed.
    for name, paths in (("allowed_directories", folders), ("allowed_paths", files)):
        listed = ", ".join("'" + str(one).replace("'", "''") + "'" for one in paths)
        database.execute(f"SET {name} = [{listed}]")
    for name, value in _SETTINGS.items():
        database.execute(f"SET {name} = {value}")
