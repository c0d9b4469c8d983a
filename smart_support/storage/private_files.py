"""Makes files and folders readable only for the account that runs the app.

They hold what customers wrote. A process calls `set_private_umask` at its start, so that the files which
SQLite and DuckDB create later are private too.
"""

import os
import stat
from pathlib import Path

from smart_support.observability.log import get_logger

log = get_logger()
_FOLDER = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# The app's files in its data folder.
_OURS = ("*.sqlite*", "*.duckdb*", "secret.key*", "compaction.due", "backups", "replaced-*")


def set_private_umask() -> None:
    """Make new files of this process private. Call it at the start of the process."""
    os.umask(_OTHERS)


def make_private_folder(path: Path) -> None:
    """Create a private folder, or make an existing one private.

    A folder that is shared by design, such as `/tmp`, is left as it is, with a warning.
    """
    path.mkdir(parents=True, exist_ok=True, mode=_FOLDER)
    if path.stat().st_mode & stat.S_ISVTX:
        log.warning("data_folder_is_shared", path=str(path), why="give the app a folder of its own")
    else:
        _tighten(path)


def tighten_files(folder: Path) -> None:
    """Make the files of a data folder private, because an older version may have created them.

    Other files in the folder are not changed. A file of another account can't be changed and is logged; the
    folder keeps others out.
    """
    for pattern in _OURS:
        for path in folder.glob(pattern):
            _tighten(path)
            for inside, folders, files in os.walk(path):  # does not follow links
                for name in (*folders, *files):
                    _tighten(Path(inside, name))


def _tighten(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
        if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and mode & _OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
    except FileNotFoundError:
        return  # the database has just deleted it
    except OSError as error:
        log.warning("file_not_private", path=str(path), error=error.strerror)
