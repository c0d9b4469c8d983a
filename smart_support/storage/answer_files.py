"""Keeps binary answers of APIs as files, in one folder for each conversation, which is erased with it."""

import hashlib
import mimetypes
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from smart_support.storage.private_files import make_private_folder

__all__ = ["FOLDER", "NAME", "PARTIAL", "AnswerFiles"]
FOLDER = "files"
PARTIAL = ".partial"
# What a file is called, below the data folder.
NAME = re.compile(rf"{FOLDER}/[0-9a-f]{{32}}/[0-9a-f]{{16}}\.[^/\\]+")


class AnswerFiles:
    """The files in `DATA_DIR/files`. Their names come from their content, so the same answer is kept once."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def store(self, thread_id: str, content: bytes, media_type: str) -> str:
        """Store a file. Blocks.

        Returns:
            its path below the data folder.
        """
        folder = self._folder(thread_id)
        make_private_folder(folder)
        extension = mimetypes.guess_extension(media_type, strict=False) or ".bin"
        file = folder / f"{hashlib.sha256(content).hexdigest()[:16]}{extension}"
        partial = file.with_suffix(PARTIAL)
        partial.write_bytes(content)
        partial.replace(file)
        return file.relative_to(self._data_dir).as_posix()

    def erase(self, thread_ids: Iterable[str]) -> None:
        """Delete all files of these conversations. Blocks."""
        for thread_id in thread_ids:
            shutil.rmtree(self._folder(thread_id), ignore_errors=True)

    def _folder(self, thread_id: str) -> Path:
        # A thread's id is not a valid file name on every system.
        return self._data_dir / FOLDER / hashlib.sha256(thread_id.encode()).hexdigest()[:32]
