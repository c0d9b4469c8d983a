"""Runs all scripts, and writes their figures into one JSON; or compares the last two of these.

The whole takes less than 15 minutes on two quiet cores. A script that fails, or takes longer than its time,
is listed with the reason.
"""

import argparse
import os
import platform
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


@dataclass(frozen=True, slots=True)
class Script:
    """A script, its arguments, those of a run that only shows that it works, and the seconds it may take."""

    name: str
    arguments: tuple[str, ...]
    tiny: tuple[str, ...]
    seconds: int


SCRIPTS = (
    Script("turn_cost", (), ("--turns", "1", "--blocks", "1", "--rounds", "1"), 240),
    Script("start_up", ("--rounds", "5"), ("--rounds", "1"), 120),
    Script("approvals", (), ("20", "--decisions", "20", "--windows", "0"), 240),
    Script("approval_search", (), ("50", "--searches", "2", "--decisions", "2"), 150),
    Script("scale_out", (), ("--processes", "1", "--seconds", "1", "--decisions", "2"), 200),
    Script("any_agent", (), ("--calls", "2", "--rounds", "1", "--waiting", "0"), 150),
    Script("memory", ("--conversations", "3000"), ("--conversations", "2"), 150),
    Script("openapi_import", (), ("--operations", "6", "--rounds", "1", "--stall-operations", "6"), 150),
    Script("data_growth", (), ("--messages", "2", "--characters", "500"), 120),
    Script("analytics", ("2000000",), ("2000", "--seconds", "1"), 240),
    Script("soak", ("--seconds", "60"), ("--sockets", "4", "--seconds", "4", "--think", "1"), 150),
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
        began = time.monotonic()
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
        seconds = round(time.monotonic() - began, 1)
        result["scripts"][script.name] = {"ended": ended, "seconds": seconds}
    return result


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
    given = parser.parse_args()
    if given.compare is None:
        chosen = [one for one in SCRIPTS if not given.only or one.name in given.only]
        result = run(chosen, is_tiny=given.tiny)
        given.into.mkdir(parents=True, exist_ok=True)
        path = given.into / f"{result['at'].replace(':', '')}.json"
        path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
        print(f"\nwritten to {path}")
        sys.exit(any(one["ended"] != "done" for one in result["scripts"].values()))
    files = given.compare or sorted(given.into.glob("*.json"))[-2:]
    if len(files) != 2:
        sys.exit(f"two results are needed, and {given.into} has {len(files)}; make bench writes one")
    before, now = (orjson.loads(Path(file).read_bytes()) for file in files)
    print("\n".join(compare(before, now)))


if __name__ == "__main__":
    main()
