"""All scripts as one and all stylesheets as one: complete, kept by browsers, traced back to their files."""

import re
import shutil
import subprocess
from pathlib import Path

import httpx
import orjson
import pytest

from pages import theme
from pages.bundle import Bundle, bundle_all, bundle_scripts
from tests.support.harness import AppProcess

BUNDLES = bundle_all(theme.STATIC)


def _decoded(mappings: str) -> list[tuple[int, int]]:
    """The file and the line that each line comes from."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    places, file, line = [], 0, 0
    for entry in mappings.split(";"):
        numbers, shift, value = [], 0, 0
        for digit in map(digits.index, entry):
            value |= (digit & 31) << shift
            shift += 5
            if digit < 32:
                numbers.append(-(value >> 1) if value & 1 else value >> 1)
                shift = value = 0
        assert (numbers[0], numbers[3]) == (0, 0)
        file, line = file + numbers[1], line + numbers[2]
        places.append((file, line))
    return places


def test_the_page_links_to_one_stylesheet_and_one_script() -> None:
    head = theme.head("/support")
    assert head.count('rel="stylesheet"') == head.count("<script") == 1
    assert f'href="/support{theme.STATIC_PATH}/{BUNDLES.style.path}"' in head
    assert f'src="/support{theme.STATIC_PATH}/{BUNDLES.script.path}"' in head


def test_all_stylesheets_are_one_and_find_their_pictures() -> None:
    whole = BUNDLES.style.content.decode()
    assert whole.startswith((theme.STATIC / "base.css").read_text(encoding="utf-8"))
    for file in theme.STATIC.rglob("*.css"):
        assert file.read_text(encoding="utf-8") in whole
    pictures = re.findall(r'url\("([^"]+)"\)', whole)
    assert pictures
    assert all((theme.STATIC / "bundle" / picture).resolve().is_file() for picture in pictures)


def test_each_line_of_the_script_is_traced_to_its_file() -> None:
    source_map = orjson.loads(BUNDLES.source_map.content)
    files = [(theme.STATIC / "bundle" / name).resolve() for name in source_map["sources"]]
    assert sorted(files) == sorted(theme.STATIC.rglob("*.js"))
    lines = [file.read_text(encoding="utf-8").splitlines() for file in files]
    script = BUNDLES.script.content.decode()
    assert script.rstrip().endswith(f"sourceMappingURL={BUNDLES.source_map.name}")
    compared = 0
    for shown, (file, line) in zip(script.splitlines(), _decoded(source_map["mappings"]), strict=False):
        # Beyond a file's last line is what the bundle adds, and a line without text was a comment.
        if line < len(lines[file]) and shown.strip() and not shown.startswith("const module"):
            written = lines[file][line].removeprefix("export ")
            assert written in (shown, "") or "module" in shown, (files[file], line)
            compared += 1
    assert compared > 2000


def test_modules_see_what_they_import_alone(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    folder = tmp_path / "static"
    (folder / "b").mkdir(parents=True)
    (folder / "a.js").write_text(
        'import { one, two as other } from "./b/b.js";\nimport "./c.js";\nconst three = 1;\n'
        "// gone\n/**\n * gone\n */\nconsole.log(one, other(), three, seen.join());\n"
    )
    (folder / "b" / "b.js").write_text(
        "export const one = 1;\nconst three = 3;\nexport async function four() {}\n"
        "export function two() { return three; }\nglobalThis.seen = ['b'];\n"
    )
    (folder / "c.js").write_text("seen.push('c');\n")
    script, _ = bundle_scripts(folder)
    file = tmp_path / "all.mjs"
    file.write_bytes(script.content)
    told = subprocess.run([node, file], capture_output=True, text=True, check=True)
    assert told.stdout == "1 3 1 b,c\n"
    assert b"gone" not in script.content


@pytest.mark.parametrize(
    ("sources", "problem"),
    [
        ({"a.js": "export default 1;"}, "can't be bundled: export default 1;"),
        ({"a.js": 'import * as b from "./b.js";', "b.js": ""}, "can't be bundled"),
        ({"a.js": "export let one = 1;"}, "can't be bundled"),
        ({"a.js": 'import "./b.js";', "b.js": 'import "./a.js";'}, "import each other"),
    ],
)
def test_a_form_that_would_break_is_refused(tmp_path: Path, sources: dict[str, str], problem: str) -> None:
    for name, source in sources.items():
        (tmp_path / name).write_text(source)
    with pytest.raises(ValueError, match=problem):
        bundle_scripts(tmp_path)


@pytest.mark.parametrize("bundle", [BUNDLES.script, BUNDLES.source_map, BUNDLES.style])
def test_browsers_keep_it_and_load_it_compressed(server: AppProcess, bundle: Bundle) -> None:
    url = f"{server.url}{theme.STATIC_PATH}/{bundle.path}"
    plain = httpx.get(url, headers={"Accept-Encoding": "identity"})
    packed = httpx.get(url, headers={"Accept-Encoding": "gzip"})
    assert plain.content == packed.content == bundle.content
    assert (packed.headers["Content-Encoding"], packed.num_bytes_downloaded) == (
        "gzip",
        len(bundle.compressed),
    )
    assert "immutable" in packed.headers["Cache-Control"]
    again = httpx.get(url, headers={"If-None-Match": packed.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    # A page of another version gets the one there is, and asks again the next time.
    other = httpx.get(url.replace(bundle.name.split(".")[0], "0123456789abcdef"))
    assert (other.content, "immutable" in other.headers["Cache-Control"]) == (bundle.content, False)


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info"])
def test_the_page_is_compressed(server: AppProcess, path: str) -> None:
    answer = httpx.get(f"{server.url}{path}", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.num_bytes_downloaded < len(answer.content) / 3


def test_no_two_tabs_give_a_class_different_looks() -> None:
    """All stylesheets apply to all tabs: a tab's own elements have, or stand in, a class of their own."""
    folders: dict[str, set[str]] = {}
    for sheet in theme.STATIC.glob("*/*.css"):
        css = re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)
        for selectors in re.findall(r"([^{};]+)\{", css):
            for selector in re.sub(r"\([^()]*\)", "", selectors).split(","):
                if match := re.fullmatch(r"\s*(\.ss-[\w-]+)\s*", selector):
                    folders.setdefault(match[1], set()).add(sheet.parent.name)
    # What the shell gives to all tabs, a tab may add to.
    styled = {name: sorted(of) for name, of in folders.items() if len(of) > 1 and "shell" not in of}
    assert styled == {}
