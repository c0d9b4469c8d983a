"""Which Chromium the browser tests use, and how it is started: without asking anything of the network."""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

# The shell without windows needs half the CPU.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # All pages of a context share a process, and with it what is compiled.
    "--renderer-process-limit=1",
]


def executable() -> str | None:
    """The path of a Chromium on this machine, or None."""
    named = os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)
    if named:
        return named
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


if __name__ == "__main__":
    sys.exit(0 if executable() else "no Chromium found")
