"""Files and folders that only the account which runs the app can read.

They hold what customers wrote, and what a stolen copy of would be worth most. Whoever starts a process sets
the mask (`set_private_umask`), so that what SQLite and DuckDB make later is private too.
"""

import os
import stat
from pathlib import Path

from smart_support.log import get_logger

log = get_logger()
_FOLDER, _FILE = 0o700, 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def set_private_umask() -> None:
    """Let nobody else read what this process makes from now on. For the start of a process."""
    os.umask(_OTHERS)


def make_private_folder(path: Path) -> None:
    """Make a folder, with those above it as the system makes them; nobody else can enter it."""
    path.mkdir(parents=True, exist_ok=True, mode=_FOLDER)
    _tighten(path)


def tighten_folder(path: Path) -> None:
    """Take from others what they may do with a folder and all in it, at any depth; links are left alone.

    A file of another account, which can't be changed, is logged and left: the folder above keeps others out.
    """
    _tighten(path)
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            _tighten(Path(folder, name))


def _tighten(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
        if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and mode & _OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
    except FileNotFoundError:
        return  # a file of a database that has just gone
    except OSError as error:
        log.warning("file_not_private", path=str(path), error=error.strerror)
