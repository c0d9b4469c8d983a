"""Gradio's files: as they are on the disk, compressed as the browser can, and kept by it."""

import mimetypes
import re
from collections.abc import Iterator
from pathlib import Path

import gradio
import pytest
from fastapi.testclient import TestClient

from pages.gradio_files import MAX_KEPT_BYTES
from smart_support import create_app
from smart_support.settings import Settings

FRONTEND = Path(gradio.__file__).parent / "templates" / "frontend"
SCRIPT = next(
    file for file in (FRONTEND / "assets").glob("index-*.js") if 50_000 < file.stat().st_size < MAX_KEPT_BYTES
)
# Its name ends as one with a hash does.
FONT = FRONTEND / "static/fonts/IBMPlexSans/IBMPlexSans-SemiBold.woff2"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(data_dir=tmp_path_factory.mktemp("files") / "var"))) as client:
        yield client


def _path(file: Path) -> str:
    return f"/{file.relative_to(FRONTEND).as_posix()}"


@pytest.mark.parametrize("encoding", ["br", "gzip", ""])
def test_a_script_is_compressed_and_kept(
    client: TestClient, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a system whose list of types is another one.
    monkeypatch.setattr(mimetypes, "guess_type", lambda _: ("application/x-js", None))
    for _ in range(2):
        answer = client.get(_path(SCRIPT), headers={"Accept-Encoding": encoding})
        assert answer.status_code == 200
        assert answer.content == SCRIPT.read_bytes()
        assert answer.headers.get("content-encoding", "") == encoding
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["x-content-type-options"] == "nosniff"
    again = client.get(_path(SCRIPT), headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_font_is_sent_as_it_is_and_asked_for_again(client: TestClient) -> None:
    answer = client.get(_path(FONT), headers={"Accept-Encoding": "br"})
    assert answer.content == FONT.read_bytes()
    assert "content-encoding" not in answer.headers
    assert "no-cache" in answer.headers["cache-control"]


def test_files_are_as_they_are_on_the_disk(client: TestClient) -> None:
    files = [
        file for folder in ("assets", "static") for file in (FRONTEND / folder).rglob("*") if file.is_file()
    ]
    # A new version of Gradio may have names that the route would not find.
    unusual = [file for file in files if not re.fullmatch(r"[\w./-]+", _path(file), re.ASCII)]
    for file in (*files[::40], *unusual):
        assert client.get(_path(file)).content == file.read_bytes(), file


def test_what_is_large_is_not_kept(client: TestClient) -> None:
    large = next(file for file in (FRONTEND / "static").rglob("*.js") if file.stat().st_size > MAX_KEPT_BYTES)
    answer = client.get(_path(large))
    assert answer.content == large.read_bytes()
    assert "cache-control" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/assets/nothing.js",
        "/assets/",
        "/assets/../index.html",
        "/assets/%2e%2e/index.html",
        "/assets/..%2findex.html",
        "/static/../../../__init__.py",
        "/static//etc/hostname",
        f"/assets/{'a' * 10_000}.js",
        "/assets/a%00.js",
    ],
)
def test_no_path_leads_elsewhere(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (403, 404)
    assert b"<html" not in answer.content


def test_only_a_reader_is_answered(client: TestClient) -> None:
    assert client.post(_path(SCRIPT)).status_code in (400, 403, 405)
