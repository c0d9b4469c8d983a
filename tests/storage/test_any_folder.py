"""A data folder of any name that a file system allows works with every command."""

from pathlib import Path

import pytest

from smart_support import Settings, create_app
from smart_support.__main__ import main

NAME = "a b%20c#d'e\"f é日[x]*~&=;"


async def test_every_command_works_in_a_folder_of_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, copy = tmp_path / NAME, tmp_path / f"copy {NAME}"
    app = create_app(Settings(data_dir=folder))
    async with app.router.lifespan_context(app):
        pass
    monkeypatch.setenv("SMART_SUPPORT_DATA_DIR", str(folder))
    for command in (
        ("migrate", "--check"),
        ("audit", "verify"),
        ("audit", "export"),
        ("backup", str(copy)),
        ("restore", str(copy), "--force"),
        ("migrate", "--check"),
        ("audit", "verify"),
    ):
        assert main(list(command)) == 0, capsys.readouterr().err
    assert _names(tmp_path) == {NAME, f"copy {NAME}"}


def _names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}
