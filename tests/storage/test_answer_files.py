"""Binary answers are kept in a folder of their conversation, and deleted with it."""

from pathlib import Path

from smart_support.storage.answer_files import AnswerFiles


def test_a_file_is_kept_once_with_its_extension_until_its_conversation_is_erased(tmp_path: Path) -> None:
    files = AnswerFiles(tmp_path)
    path = files.store("../thread", b"%PDF-", "application/pdf")
    assert path == files.store("../thread", b"%PDF-", "application/pdf")
    assert (path.startswith("files/"), path.endswith(".pdf")) == (True, True)
    assert (tmp_path / path).read_bytes() == b"%PDF-"
    assert (tmp_path / path).parent.stat().st_mode & 0o077 == 0
    other = files.store("other", b"x", "application/unknown")

    files.erase(["../thread", "never seen"])

    assert not (tmp_path / path).exists()
    assert (tmp_path / other).exists()
