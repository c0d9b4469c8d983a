"""What a browser loads for the console at first: requests and bytes, Gradio's and ours, and layout shift.

    python -m benchmarks.first_load [URL of a running app]

Bytes are those on the wire, headers included, into an empty cache. A layout shift over 0.1 is bad by
https://web.dev/articles/cls.
"""

import sys
from collections import Counter
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

from tests.support import chromium

_SHIFTS = """new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) window.shift = (window.shift ?? 0) + entry.value;
  }
}).observe({ type: "layout-shift", buffered: true });"""
_OURS = ("/console/", "/api/", "/ws")


def main(url: str) -> None:
    """Load the console twice and print what came."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        owners: dict[str, str] = {}
        requests: Counter[str] = Counter()
        sizes: Counter[str] = Counter()

        def began(event: dict[str, dict[str, str]]) -> None:
            path = urlsplit(event["request"]["url"]).path
            owner = "ours" if path.startswith(_OURS) else "Gradio's"
            owners[str(event["requestId"])] = owner
            requests[owner] += 1

        def ended(event: dict[str, float]) -> None:
            sizes[owners.get(str(event["requestId"]), "Gradio's")] += int(event["encodedDataLength"])

        session.on("Network.requestWillBeSent", began)
        session.on("Network.loadingFinished", ended)
        page.add_init_script(_SHIFTS)
        for load in ("first load", "second load"):
            requests.clear()
            sizes.clear()
            page.goto(url)
            page.wait_for_selector("body.ss-chat-loaded", state="attached")
            page.wait_for_timeout(1500)
            for owner in ("Gradio's", "ours"):
                print(f"{load:<12} {owner:<9} {requests[owner]:>4} requests {sizes[owner] / 1000:>7.0f} kB")
            print(f"{load:<12} layout shift {page.evaluate('window.shift ?? 0'):.3f}")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860")
