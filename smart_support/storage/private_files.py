"""Files and folders that only the account which runs the app can read.

They hold what customers wrote, and what a stolen copy of would be worth most. Whoever starts a process sets
the mask (`set_private_umask`), so that what SQLite and DuckDB make later is private too.
"""

import os
import stat
from pathlib import Path

from smart_support.observability.log import get_logger

log = get_logger()
_FOLDER = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What the app keeps in its data folder.
_OURS = ("*.sqlite*", "*.duckdb*", "secret.key*", "compaction.due", "backups", "replaced-*")


def set_private_umask() -> None:
    """Let nobody else read what this process makes from now on. For the start of a process."""
    os.umask(_OTHERS)


def make_private_folder(path: Path) -> None:
    """Make a folder, or take from others what they may do in one that is there.

    A folder that is everybody's by design, such as `/tmp`, is left as it is, with a warning.
    """
    path.mkdir(parents=True, exist_ok=True, mode=_FOLDER)
    if path.stat().st_mode & stat.S_ISVTX:
        log.warning("data_folder_is_shared", path=str(path), why="give the app a folder of its own")
    else:
        _tighten(path)


def tighten_files(folder: Path) -> None:
    """Take from others what they may do with the files of a data folder, as an older version made them.

    Only what is ours, in case the folder holds other things. A file of another account can't be changed; it
    is logged and left, for the folder keeps others out.
    """
    for pattern in _OURS:
        for path in folder.glob(pattern):
            _tighten(path)
            for inside, folders, files in os.walk(path):  # follows no link
                for name in (*folders, *files):
                    _tighten(Path(inside, name))


def _tighten(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
        if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and mode & _OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
    except FileNotFoundError:
        return  # a file of a database that has just gone
    except OSError as error:
        log.warning("file_not_private", path=str(path), error=error.strerror)
