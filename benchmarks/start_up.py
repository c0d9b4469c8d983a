"""Seconds from launch to the first response of `/health`, compared with a one-line Gradio app."""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import record  # noqa: E402

ROUNDS, AIM = 5, 1.15
ONE_LINE = (
    "import gradio as gr; gr.Interface(str.upper, 'text', 'text').launch(server_port={port}, quiet=True)"
)
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def seconds(command: list[str], url: str, environment: dict[str, str]) -> float:
    """Seconds from launch to the first 200 response of `url`."""
    started = time.perf_counter()
    silent = subprocess.DEVNULL
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environment, stdout=silent, stderr=silent
    ) as process:
        try:
            while process.poll() is None:
                try:
                    if httpx.get(url).status_code == 200:
                        return time.perf_counter() - started
                except httpx.HTTPError:
                    time.sleep(0.02)
            raise RuntimeError(f"{command} ended with {process.returncode}")
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    ours, theirs = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            port = free_port()
            own = {"SMART_SUPPORT_PORT": str(port), "SMART_SUPPORT_DATA_DIR": folder}
            url = f"http://127.0.0.1:{port}/api/v1/health"
            ours.append(seconds([sys.executable, "app.py"], url, QUIET | own))
        port = free_port()
        line = [sys.executable, "-c", ONE_LINE.format(port=port)]
        theirs.append(seconds(line, f"http://127.0.0.1:{port}/", QUIET))
    print(f"launch to first response, median of {rounds}")
    print(f"  Smart Support (fresh data) {statistics.median(ours):5.2f} s")
    print(f"  one-line Gradio app        {statistics.median(theirs):5.2f} s")
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"  ratio                      {ratio:5.2f}  (aim: {AIM} or less)")
    record("launch to first response", statistics.median(ours), "s")
    record("launch to first response", ratio, "ratio", AIM)


if __name__ == "__main__":
    main()
