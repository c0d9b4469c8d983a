"""The pages: every link leads somewhere, every setting and every metric is named, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from smart_support.observability.metrics import Meters
from smart_support.settings import Settings
from tests.support.harness import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _anchors(page: Path) -> set[str]:
    """What a page's headings are called in links (as GitHub makes them)."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _inner_links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return (link for link in _LINK.findall(text) if not re.match(r"[a-z]+:", link))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_leads_somewhere(page: Path) -> None:
    for link in _inner_links(page):
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_every_page_can_be_found_from_another() -> None:
    linked = {(page.parent / link.split("#")[0]).resolve() for page in PAGES for link in _inner_links(page)}
    assert [page.name for page in PAGES if ROOT / "docs" in page.parents and page not in linked] == []


def _default(name: str) -> str:
    """A default as the table writes it."""
    value = Settings.model_fields[name].get_default(call_default_factory=True)
    if value in (None, ""):
        return "empty"
    return f"`{value}`".replace("'", '"')


def test_the_table_of_settings_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([A-Z_]+)` \| (\S.*?) \| (\S.*) \|$", page, re.M)
    assert [(name, default) for name, default, _ in told] == [
        (name.upper(), _default(name)) for name in Settings.model_fields
    ]


def test_every_metric_is_explained_and_no_other() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(smart_support_\w+)(?:\{[^}]*\})?`", page))
    made = {
        family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        for family in Meters("0").registry.collect()
        if family.name.startswith("smart_support_")
    }
    assert told == made


def test_every_script_that_measures_is_explained() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    helpers = {"__init__.py", "figures.py", "run.py"}
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py")} - helpers
    assert {name for name in scripts if not re.search(rf"^\| `{re.escape(name)}", page, re.M)} == set()
