"""Each script that measures runs and prints its table, at a tiny size; how quick things are is not looked at.

In every run: what reaches into the product's parts. At night also what starts the whole app.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.run import SCRIPTS, keep_night, median_of, regressions
from smart_support.analytics.query_files import FIGURES
from tests.support.harness import ROOT, AppProcess, run_python
from tests.support.postgres import is_installed


def _run(script: str, *arguments: str, may_break_limits: bool = False) -> str:
    """What a script prints."""
    done = run_python(f"benchmarks/{script}", *arguments, seconds=120)
    assert done.returncode == 0 or may_break_limits, done.stdout + done.stderr
    return done.stdout


def _shape(printed: str) -> str:
    """The same with each number as `#`, and no more than one blank."""
    return re.sub(r" +", " ", re.sub(r"[-+]?\d[\d,]*(\.\d+)?", "#", printed))


def _first_words(table: str) -> list[str]:
    """What each line of a table begins with, up to its first column."""
    return [line.strip().split("  ")[0] for line in table.strip().splitlines()]


def test_decisions() -> None:
    printed = _shape(_run("approvals.py", "20", "--decisions", "20", "--windows", "0")).splitlines()
    assert printed[:3] == [
        "decisions with # approvals in the table, in sequence",
        " # per second, p# # ms, p# # ms",
        " ratio to a bare durable row # (p# # ms)",
    ]
    on_postgres = [
        "the same on Postgres, with # approvals in the table",
        " # per second, p# # ms, p# # ms",
        " ratio to a bare UPDATE ... RETURNING # (p# # ms)",
    ]
    assert printed[3:] == (on_postgres if is_installed() else [])


def test_figures_and_replay_at_rest_and_under_writing() -> None:
    head, *ranges, growth, writing = _run("analytics.py", "2000", "--seconds", "1").split("\n\n")
    assert _shape(head).splitlines() == 2 * [
        "making # events",
        "('# events in #',)",
        "summaries: # s, # s of CPU",
        "search index: # s, # s of CPU",
    ]
    assert _first_words(growth)[1:] == ["dashboard, 7d", "dashboard, all"]
    assert [one.split()[0] for one in ranges] == ["7d", "all"]
    for one in ranges:
        names = _first_words(one)[1:]
        assert names[0] == "bare scan"
        assert set(FIGURES) & set(names)
        assert names[-13:] == [
            "dashboard, all of these",
            "dashboard, an agent",
            "conversations, a page",
            "conversations, escalated",
            "conversations, waiting",
            "conversations, an agent",
            "conversations, rejected",
            "conversations, of a tool",
            "conversations, no text",
            "conversations, a text",
            "replay of a thread",
            "replay, the outline",
            "replay, a page of 200",
        ]
    assert _first_words(writing)[1:] == [
        "dashboard of 7 days",
        "replay, a page of 200",
        "a turn waits for its acknowledgement",
    ]


def test_imports(tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text('{"openapi": "3.0.3", "info": {"title": "T"}, "paths": {}}')
    sizes = ("--operations", "6", "--rounds", "1", "--stall-operations", "6")
    table = _run("openapi_import.py", *sizes, str(tmp_path))
    assert _first_words(table)[:3] == ["file", "generated.yaml", "own.json"]
    stalls = "# operations as {}: # ms while it is imported, # ms when its review is opened"
    assert _shape(table).splitlines()[4:] == [stalls.format("json"), stalls.format("yaml")]
    assert _shape(table.splitlines()[1]) == "generated.yaml # # # # # # # MB"


def test_growth_of_the_data_folder() -> None:
    sizes = ("--messages", "2", "--characters", "500", "--kind", "an approval in every message")
    lines = _run("data_growth.py", *sizes).splitlines()
    assert _shape(lines[0]) == "an approval in every message: # of # characters"
    assert _first_words("\n".join(lines[1:])) == ["in use", "closed", "text"]


def test_a_bare_turn(tmp_path: Path) -> None:
    assert float(_run("turn_cost.py", "--bare", str(tmp_path), "--turns", "1", "--blocks", "1")) > 0


@pytest.mark.nightly
def test_decisions_during_searches() -> None:
    sizes = ("50", "--searches", "2", "--decisions", "2")
    assert _shape(_run("approval_search.py", *sizes)).splitlines() == [
        "# parallel searches over # approvals, # answered meanwhile",
        " slowest decision # ms, without searches # ms, ratio #",
        " slowest health # ms, without searches # ms, ratio #",
    ]


@pytest.mark.nightly
def test_a_turn_at_each_door() -> None:
    table = _run("turn_cost.py", "--turns", "1", "--blocks", "1", "--rounds", "1")
    assert _first_words(table)[1:] == ["bare graph", "/ws", "REST, server-sent events", "Gradio /chat"]


@pytest.mark.nightly
def test_calls_of_another_agent() -> None:
    table = _run("any_agent.py", "--calls", "2", "--rounds", "1", "--waiting", "2")
    assert _first_words(table)[1:] == [
        "newest revision",
        "older revision",
        "2 writes wait at once, over 7 keys",
        "memory of the server",
        "CPU while all wait",
        "another caller's read, alone",
        "another caller's read, beside them",
    ]


@pytest.mark.nightly
def test_the_start() -> None:
    table = _run("start_up.py", "--rounds", "1")
    assert _shape(table).splitlines()[1:] == [
        " Smart Support (fresh data) # s",
        " one-line Gradio app # s",
        " ratio #",
    ]


@pytest.mark.nightly
def test_the_longest_stall() -> None:
    table = _run("stalls.py", "--less", "100")
    names = _first_words(table)
    assert names[:2] == ["input", "ordinary message"]
    assert "message, equal letters" in names
    assert names[-1] == "text, 2 MB in chunks of 20"


@pytest.mark.nightly
def test_windows() -> None:
    sizes = ("20", "--decisions", "20", "--windows", "2", "--shown", "2")
    assert _shape(_run("approvals.py", *sizes)).splitlines()[-2:] == [
        "a decision shown in # open windows: p# # ms, p# # ms",
        " ratio to the limit of # s #",
    ]


@pytest.mark.nightly
def test_the_list_of_approvals() -> None:
    assert _run("approval_list.py", "--approvals", "20", "--decisions", "2", may_break_limits=True)


@pytest.mark.nightly
def test_the_first_load(server: AppProcess) -> None:
    rows = _run("first_load.py", server.url).splitlines()
    assert [row.split()[2] for row in rows] == 2 * ["Gradio's", "ours", "layout"]


@pytest.mark.nightly
def test_a_short_soak() -> None:
    # In so short a time the process is still growing to its size: its limit on that is not for this one.
    arguments = ("--sockets", "4", "--seconds", "4", "--think", "1")
    table = _run("soak.py", *arguments, may_break_limits=True)
    rows = [line.split() for line in table.splitlines()]
    assert ["lost", "or", "duplicate", "events", "0", "0"] in rows
    assert ["errors", "0", "0"] in rows
    assert _first_words(table)[-5:] == [
        "first token, p50",
        "first token, p99",
        "seconds to stop",
        "memory, highest",
        "memory, warm to end",
    ]


@pytest.mark.nightly
def test_memory() -> None:
    lines = _run("memory.py", "--conversations", "20", may_break_limits=True)
    assert _first_words(lines)[1:] == ["idle", "after half", "after all", "second half, each"]


@pytest.mark.nightly
@pytest.mark.skipif(not is_installed(), reason="no Postgres is installed")
def test_processes() -> None:
    sizes = ("--processes", "1", "--conversations", "1", "--seconds", "1", "--decisions", "2")
    assert _shape(_run("scale_out.py", *sizes)).splitlines()[2:] == [
        " # # # ms #% #% ratio #",
        "a decision shown by another process: p# # ms, p# # ms",
        " ratio to the limit of # ms #",
    ]


def test_figures_of_runs_are_collected_and_compared(tmp_path: Path) -> None:
    _run("run.py", "--tiny", "--only", "data_growth", "--into", str(tmp_path))
    first = tmp_path / next(tmp_path.iterdir()).name
    result = orjson.loads(first.read_bytes())
    assert result["scripts"]["data_growth"]["ended"] == "done"
    assert result["machine"].keys() >= {"processor", "cores", "system", "python", "load_before"}
    name, figure = next(iter(result["figures"].items()))
    assert (name, figure["unit"]) == ("data_growth messages, closed", "ratio")
    now = orjson.loads(first.read_bytes())
    now["figures"][name] |= {"value": figure["value"] * 1.5, "aim": 0.1}
    (tmp_path / "9.json").write_bytes(orjson.dumps(now))
    line = _run("run.py", "--compare", "--into", str(tmp_path)).splitlines()[1]
    assert line.split()[-4:] == ["+50%", "!", "0.1", "missed"]


def _result(**figures: tuple[float, str]) -> dict[str, Any]:
    return {
        "at": "2026-11-30T02:00:00+00:00",
        "machine": {},
        "figures": {
            name: {"value": value, "unit": unit, "aim": None} for name, (value, unit) in figures.items()
        },
        "scripts": {"one": {"ended": "done", "seconds": 1, "cpu_seconds": 1}},
    }


def _night(ratios: Sequence[float], speedups: Sequence[float]) -> dict[str, Any]:
    pairs = zip(ratios, speedups, strict=True)
    return median_of([_result(turn=(a, "ratio"), two=(b, "speedup"), time=(9, "ms")) for a, b in pairs])


def test_a_night_has_the_median_and_all_runs_of_each_ratio_and_nothing_else() -> None:
    night = _night((1.5, 1.3, 2.4, 1.4, 1.35), (1.9, 1.7, 1.8, 1.8, 1.6))
    assert night["figures"]["turn"]["value"] == 1.4
    assert night["figures"]["turn"]["runs"] == [1.5, 1.3, 2.4, 1.4, 1.35]
    assert night["figures"]["two"]["value"] == 1.8
    assert "time" not in night["figures"]
    assert night["ends"] == {"one": ["done"] * 5}


@pytest.mark.parametrize(
    ("ratios", "speedups", "worse"),
    [
        ((1.4, 1.4, 1.4), (1.8, 1.8, 1.8), []),
        ((1.6, 1.5, 1.6), (1.6, 1.7, 1.8), []),  # within what the night before had
        ((1.61, 1.7, 1.2), (1.8, 1.8, 1.8), ["turn: 1.61; 1.40 before (1.30 to 1.60)"]),
        ((1.4, 1.4, 1.4), (1.5, 1.5, 1.9), ["two: 1.50; 1.80 before (1.60 to 1.90)"]),
        ((1.0, 1.0, 1.0), (2.5, 2.5, 2.5), []),
    ],
)
def test_a_median_beyond_the_runs_of_the_night_before_is_a_regression(
    ratios: Sequence[float], speedups: Sequence[float], worse: list[str]
) -> None:
    before = _night((1.6, 1.3, 1.4), (1.9, 1.6, 1.8))
    assert regressions(before, _night(ratios, speedups)) == worse


def test_runs_that_were_very_close_leave_some_spread_and_what_is_missing_is_a_regression() -> None:
    before = _night((1.4, 1.4, 1.4), (1.8, 1.8, 1.8))
    assert regressions(before, _night((1.46, 1.46, 1.46), (1.72, 1.72, 1.72))) == []
    assert len(regressions(before, _night((1.48, 1.48, 1.48), (1.70, 1.70, 1.70)))) == 2
    assert regressions(before, {"figures": {}})[0] == "turn: it was not measured; 1.40 before"


def _at(hour: int, *ratios: float) -> dict[str, Any]:
    return _night(ratios, [1.8] * len(ratios)) | {"at": f"2026-12-01T{hour:02}:00:00+00:00"}


def test_a_night_is_compared_with_the_last_one_that_had_no_regression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keep_night(_at(1, 1.4, 1.5, 1.6), tmp_path, accept=False)
    assert not keep_night(_at(2, 1.9, 1.9, 1.9), tmp_path, accept=False)
    assert capsys.readouterr().out.splitlines()[-1] == "turn: 1.90; 1.50 before (1.40 to 1.60)"
    assert not keep_night(_at(3, 1.9, 1.9, 1.9), tmp_path, accept=False)  # also the night after
    assert keep_night(_at(4, 9, 9, 9), tmp_path, accept=False, only=["another"])
    assert len(list(tmp_path.iterdir())) == 3  # a part of a night is not kept
    assert keep_night(_at(5, 1.9, 1.9, 1.9), tmp_path, accept=True)
    assert keep_night(_at(6, 1.9, 1.9, 1.9), tmp_path, accept=False)
    assert capsys.readouterr().out.splitlines()[-1] == "no regression"
    broken = _at(7, 1.9, 1.9, 1.9) | {"ends": {"one": ["done", "took longer than 9 s", "done"]}}
    assert not keep_night(broken, tmp_path, accept=False)


@pytest.mark.nightly
def test_a_nightly_run() -> None:
    printed = _run("run.py", "--nightly", "--tiny", "--runs", "2", "--only", "data_growth")
    assert printed.splitlines()[-1] == "no regression"


def test_every_script_of_a_run_exists_and_its_time_is_under_a_quarter_of_an_hour() -> None:
    assert {f"{one.name}.py" for one in SCRIPTS} <= {path.name for path in (ROOT / "benchmarks").glob("*.py")}
    assert all(one.seconds <= 240 for one in SCRIPTS)


def test_no_script_is_left_out() -> None:
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py")} - {"__init__.py", "figures.py"}
    tried = set(re.findall(r'_run\("(\w+\.py)"', Path(__file__).read_text(encoding="utf-8")))
    assert tried == scripts
