"""The worked examples of docs/architecture.md, run as they stand."""

import contextlib
import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smart_support.analytics import query_files
from smart_support.approvals.decision import DecisionInput
from smart_support.services import Services
from smart_support.settings import Settings
from tests.support.harness import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
(FIGURE,) = re.findall(r"^```sql\n(.*?)^```", PAGE, re.M | re.S)


def _printed(program: str, names: dict[str, object]) -> list[str]:
    """What a program prints, run in a thread of its own: it may start an event loop."""
    output = io.StringIO()

    def run() -> None:
        with contextlib.redirect_stdout(output):
            exec(compile(program, "docs/architecture.md", "exec"), names)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(run).result(30)
    return output.getvalue().splitlines()


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_each_program_prints_what_the_page_says(program: str) -> None:
    assert _printed(program, {}) == re.findall(r"# -> (.*)", program)


def test_there_is_an_example_for_each_thing_to_add() -> None:
    assert len(PROGRAMS) == 3


async def test_the_metric_and_the_channel_work_in_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = tmp_path / "queries"
    queries.mkdir()
    for file in query_files.FOLDER.iterdir():
        (queries / file.name).write_text(file.read_text())
    (queries / "rejected_writes.sql").write_text(FIGURE)
    monkeypatch.setattr(query_files, "FOLDER", queries)
    names: dict[str, object] = {}
    _printed(next(program for program in PROGRAMS if "answer_email" in program), names)
    services = Services(Settings(data_dir=tmp_path / "var"))
    await services.open()
    try:
        text = await names["answer_email"](services, "t1", "Cancel order 1042")  # type: ignore[operator]
        assert "has to approve this first" in text
        approval = await services.turns.pending_approval("t1")
        no = DecisionInput("reject", decided_by="dana", via="rest", reason="Not this one.")
        async for _ in services.turns.decide_and_follow(approval.approval_id, no):
            pass
        sql = query_files.load_query("rejected_writes")
        params = {"since": "2000-01-01", "until": "2100-01-01"}
        async with services.event_log.snapshot() as snapshot:
            assert await snapshot.query(sql, params) == [{"agent": "order_actions", "rejected": 1}]
        assert query_files.figure_definition("rejected_writes") == "Writes that a person rejected, by agent."
    finally:
        await services.close()
