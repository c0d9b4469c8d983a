"""What axe finds on a page, in each of its looks."""

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
TRIES = 10
# Without what axe would do for results that nobody reads here.
_OPTIONS = {"resultTypes": ["violations"], "selectors": False, "preload": False}
_SWITCH = """dark => {
    for (const node of [document.documentElement, document.body]) node.classList.toggle("dark", dark);
}"""


def violations(page: Page) -> list[str]:
    """What axe finds: the rule, the element, and what is wrong with it."""
    page.evaluate(
        "document.getAnimations().forEach((one) => { try { one.finish(); } catch { one.cancel(); } })"
    )
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("async options => (await axe.run(options)).violations", _OPTIONS)
    return [
        f"{one['id']}: {place['html'][:160]} {place['failureSummary'][:300]}"
        for one in found
        for place in one["nodes"]
    ]


def expect_no_violations(page: Page) -> None:
    """Nothing is wrong with what is open, as soon as all of it is drawn."""
    for _ in range(TRIES):
        found = violations(page)
        if not found:
            return
        page.wait_for_timeout(500)  # what is still on its way has no event in common
    raise AssertionError("\n".join(found))


def expect_width(page: Page, width: int) -> None:
    """Nothing is wider than the window; Gradio follows a change of its size a moment later."""
    page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)


def check_looks(page: Page, *sizes: dict[str, int]) -> None:
    """Look at what is open, light and dark, in each size: nothing is wrong with it, or wider than the window.

    Without sizes, the window stays as it is. The look that comes last is dark.
    """
    for size in sizes or (page.viewport_size,):
        if sizes:
            page.set_viewport_size(size)
        expect_width(page, size["width"])
        for dark in (False, True):
            page.evaluate(_SWITCH, dark)
            expect_no_violations(page)
