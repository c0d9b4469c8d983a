"""What a lead feels in the tab "Approvals" with a thousand pending approvals.

Prints milliseconds from the press of a button until the row is gone and until the next frame, the frames
while the list is scrolled from its top to its end, and the layout shift of all that (as browsers score it).
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from smart_support.observability import log  # noqa: E402
from tests.support import chromium  # noqa: E402
from tests.support.harness import AppProcess  # noqa: E402
from tests.support.seeded_approvals import seed_approvals  # noqa: E402

_MEASURE_SHIFT = """() => {
    window.shift = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
}"""
# Milliseconds until the row has left the page, and until the frame after that.
_PRESS = """async () => {
    const current = document.querySelector(".ss-details");
    const row = document.querySelector(`.ss-row[data-approval-id="${current.dataset.approvalId}"]`);
    const started = performance.now();
    current.querySelector(".ss-button--green").click();
    while (row.isConnected) await Promise.resolve();
    const removed = performance.now() - started;
    await new Promise((resolve) => requestAnimationFrame(resolve));
    return [removed, performance.now() - started];
}"""
_SCROLL = """() => new Promise((resolve) => {
    const rows = document.querySelector(".ss-rows");
    const frames = [];
    let last = performance.now();
    const step = (now) => {
        frames.push(now - last);
        last = now;
        rows.scrollTop += 300;
        if (rows.scrollTop + rows.clientHeight >= rows.scrollHeight - 1) resolve(frames.slice(2));
        else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
})"""


def _measure(page: Page, decisions: int) -> None:
    page.locator(".ss-row").first.locator("button").click()
    page.evaluate(_MEASURE_SHIFT)
    frames = sorted(page.evaluate(_SCROLL))
    page.locator(".ss-rows").evaluate("rows => { rows.scrollTop = 0 }")
    pressed = [page.evaluate(_PRESS) for _ in range(decisions)]
    late = frames[int(len(frames) * 0.95)]
    for name, durations in zip(("row removed", "next frame"), zip(*pressed, strict=True), strict=True):
        median = statistics.median(durations)
        print(f"press to {name:11} median {median:6.1f} ms   slowest {max(durations):6.1f} ms")
    print(f"frame, scrolling    median {statistics.median(frames):6.1f} ms   95% {late:6.1f} ms", end="   ")
    print(f"slowest {frames[-1]:6.1f} ms ({len(frames)} frames)")
    print(f"layout shift        {page.evaluate('window.shift'):.4f}")
    total = page.locator(".ss-desk .ss-count").inner_text()
    print(f"rows in the page    {page.locator('.ss-row').count()} of {total}")


def main() -> None:
    """Measure in a browser against an app of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--approvals", type=int, default=1000)
    parser.add_argument("--decisions", type=int, default=20)
    arguments = parser.parse_args()
    log.configure("console", "error")
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "var"
        seed_approvals(data_dir, arguments.approvals)
        with AppProcess(data_dir, UNDO_SECONDS=5) as app, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGS)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(app.url)
            page.locator("body.ss-chat-loaded").wait_for()
            page.get_by_role("tab", name="Approvals").click()
            page.locator(".ss-row").first.wait_for()
            _measure(page, arguments.decisions)
            browser.close()


if __name__ == "__main__":
    main()
