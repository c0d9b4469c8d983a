"""Runs all scripts, and writes their figures into one JSON; or compares the last two of these.

The whole takes less than 15 minutes on two quiet cores. A script that fails, or takes longer than its time,
is listed with the reason.

`--nightly` runs the scripts that measure ratios five times, one after the other, so that a slow hour of the
machine is in one run of each. It writes the median and all runs of each ratio, and compares the medians with
the last night that had no regression. It exits with 1 where one is worse than all runs of that night.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import FILE  # noqa: E402

RESULTS = ROOT / "data" / "bench"
MORE_IS_BETTER = ("per second", "speedup")
# What differs by less between two runs on one machine says nothing.
NOISE = 0.10
# Only these compare between days: milliseconds depend on what else the machine does.
RATIOS = ("ratio", "speedup")
NIGHTS, RUNS = RESULTS / "nightly", 5
# Runs of one night can be closer to each other than two nights are.
LEAST_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Script:
    """A script of a whole run.

    Attributes:
        tiny: the arguments of a run that only shows that it works.
        seconds: the longest it may take.
        has_ratios: it measures some, and so it is in the nightly comparison.
    """

    name: str
    arguments: tuple[str, ...]
    tiny: tuple[str, ...]
    seconds: int
    has_ratios: bool = True


SCRIPTS = (
    Script("turn_cost", (), ("--turns", "1", "--blocks", "1", "--rounds", "1"), 240),
    Script("start_up", ("--rounds", "5"), ("--rounds", "1"), 120),
    Script("approvals", (), ("20", "--decisions", "20", "--windows", "0"), 240),
    Script("approval_search", (), ("50", "--searches", "2", "--decisions", "2"), 150),
    Script("scale_out", (), ("--processes", "1", "--seconds", "1", "--decisions", "2"), 200),
    Script("any_agent", (), ("--calls", "2", "--rounds", "1", "--waiting", "0"), 150),
    Script("memory", ("--conversations", "3000"), ("--conversations", "2"), 150, has_ratios=False),
    Script("openapi_import", (), ("--operations", "6", "--rounds", "1", "--stall-operations", "6"), 150),
    Script("data_growth", (), ("--messages", "2", "--characters", "500"), 120),
    Script("analytics", ("2000000",), ("2000", "--seconds", "1"), 240),
    Script(
        "soak",
        ("--seconds", "60"),
        ("--sockets", "4", "--seconds", "4", "--think", "1"),
        150,
        has_ratios=False,
    ),
)


def machine() -> dict[str, Any]:
    """What figures depend on besides the code."""
    cpu = Path("/proc/cpuinfo")
    models = [line for line in cpu.read_text().splitlines() if "model name" in line] if cpu.exists() else []
    return {
        "processor": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def run(scripts: list[Script], *, is_tiny: bool) -> dict[str, Any]:
    """Run scripts one after the other; their figures by name."""
    result: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": {},
        "scripts": {},
    }
    for script in scripts:
        began, used = time.monotonic(), _cpu_of_children()
        with tempfile.NamedTemporaryFile() as file:
            command = [sys.executable, f"benchmarks/{script.name}.py"]
            command += script.tiny if is_tiny else script.arguments
            print(f"\n{script.name} {' '.join(command[2:])}", flush=True)
            try:
                done = subprocess.run(
                    command, cwd=ROOT, env=os.environ | {FILE: file.name}, timeout=script.seconds, check=False
                )
                ended = "done" if done.returncode == 0 else f"ended with {done.returncode}"
            except subprocess.TimeoutExpired:
                ended = f"took longer than {script.seconds} s"
            lines = Path(file.name).read_bytes().splitlines()
        for figure in map(orjson.loads, lines):
            result["figures"][f"{script.name} {figure.pop('name')}"] = figure
        result["scripts"][script.name] = {
            "ended": ended,
            "seconds": round(time.monotonic() - began, 1),
            "cpu_seconds": round(_cpu_of_children() - used, 1),
        }
    return result


def _cpu_of_children() -> float:
    """CPU seconds of the scripts so far, and of what they started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """A line for each figure of two runs: both values, the change, and whether the aim is met."""
    lines = [f"{'':58}{'before':>10}{'now':>10}{'change':>9}{'aim':>9}"]
    if before["machine"].get("processor") != now["machine"].get("processor"):
        lines.insert(0, "These are two machines: only ratios can be compared.")
    for name in [*now["figures"], *(name for name in before["figures"] if name not in now["figures"])]:
        old, new = before["figures"].get(name), now["figures"].get(name)
        one = new or old
        change = _change(old, new)
        aim = "" if one["aim"] is None else f"{one['aim']:g}{'' if _is_met(one) else ' missed'}"
        values = "".join(f"{'-' if it is None else format(it['value'], '.2f'):>10}" for it in (old, new))
        label = f"{name}, {one['unit']}"
        lines.append(f"{label:58}{values}{change:>9}{aim:>16}")
    return lines


def median_of(results: list[dict[str, Any]]) -> dict[str, Any]:
    """One result of several: each ratio with its median as `value`, and all `runs`."""
    ratios: dict[str, dict[str, Any]] = {}
    for result in results:
        for name, figure in result["figures"].items():
            if figure["unit"] in RATIOS:
                ratios.setdefault(name, {**figure, "runs": []})["runs"].append(figure["value"])
    for figure in ratios.values():
        figure["value"] = statistics.median(figure["runs"])
    ends = {name: [result["scripts"][name]["ended"] for result in results] for name in results[0]["scripts"]}
    return {"at": results[0]["at"], "machine": results[0]["machine"], "figures": ratios, "ends": ends}


def regressions(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """A line for each ratio whose median is worse than all runs of the night before, or that is missing."""
    lines = []
    for name, old in before["figures"].items():
        new = now["figures"].get(name)
        if new is None:
            lines.append(f"{name}: it was not measured; {old['value']:.2f} before")
            continue
        sign = -1 if old["unit"] in MORE_IS_BETTER else 1
        worst = max(sign * one for one in old["runs"])
        if sign * new["value"] > max(worst, sign * old["value"] + LEAST_SPREAD * old["value"]):
            runs = f"{min(old['runs']):.2f} to {max(old['runs']):.2f}"
            lines.append(f"{name}: {new['value']:.2f}; {old['value']:.2f} before ({runs})")
    return lines


def keep_night(now: dict[str, Any], folder: Path, *, accept: bool, only: list[str] | None = None) -> bool:
    """Compare a night with the last one that had no regression, print that, and keep it.

    Args:
        accept: compare the next nights with this one, whatever it is.
        only: the scripts that ran, of a night that is not kept; None for all.

    Returns:
        Whether nothing is worse, and all scripts ran to their end.
    """
    nights = [orjson.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
    passed = [night for night in nights if not night["regressions"]]
    worse = regressions(passed[-1], now) if passed else []
    if only is not None:
        worse = [line for line in worse if line.split()[0] in only]
    else:
        _write(now | {"regressions": [] if accept else worse}, folder)
    if passed:
        print("\n".join(compare(passed[-1], now)))
    print("\n".join(["", *worse] if worse else ["no regression"]))
    has_ended = all(end == "done" for ends in now["ends"].values() for end in ends)
    return (accept or not worse) and has_ended


def _write(result: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result['at'].replace(':', '')}.json"
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    print(f"\nwritten to {path}")


def _is_met(figure: dict[str, Any]) -> bool:
    if figure["unit"] in MORE_IS_BETTER:
        return bool(figure["value"] >= figure["aim"])
    return bool(figure["value"] <= figure["aim"])


def _change(old: dict[str, Any] | None, new: dict[str, Any] | None) -> str:
    if not (old and new and old["value"]):
        return ""
    change = new["value"] / old["value"] - 1
    is_worse = change < -NOISE if new["unit"] in MORE_IS_BETTER else change > NOISE
    return f"{change:+.0%}{' !' if is_worse else ''}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[one.name for one in SCRIPTS], help="these scripts")
    parser.add_argument("--tiny", action="store_true", help="the smallest sizes: only whether they run")
    parser.add_argument("--into", type=Path, default=RESULTS, help="the folder of the results")
    parser.add_argument("--compare", nargs="*", metavar="FILE", help="two results; the last two by default")
    parser.add_argument("--nightly", action="store_true", help="the medians of the ratios of several runs")
    parser.add_argument("--runs", type=int, default=RUNS, help="of a night")
    parser.add_argument("--accept", action="store_true", help="compare the next nights with this one")
    given = parser.parse_args()
    chosen = [one for one in SCRIPTS if not given.only or one.name in given.only]
    if given.nightly:
        chosen = [one for one in chosen if one.has_ratios]
        night = median_of([run(chosen, is_tiny=given.tiny) for _ in range(given.runs)])
        folder = NIGHTS if given.into == RESULTS else given.into
        sys.exit(not keep_night(night, folder, accept=given.accept, only=given.only))
    if given.compare is None:
        result = run(chosen, is_tiny=given.tiny)
        _write(result, given.into)
        sys.exit(any(one["ended"] != "done" for one in result["scripts"].values()))
    files = given.compare or sorted(given.into.glob("*.json"))[-2:]
    if len(files) != 2:
        sys.exit(f"two results are needed, and {given.into} has {len(files)}; make bench writes one")
    before, now = (orjson.loads(Path(file).read_bytes()) for file in files)
    print("\n".join(compare(before, now)))


if __name__ == "__main__":
    main()
