"""Windows of the console for tests, each with the storage of a person: loaded once, used by many tests."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

DESKTOP = {"width": 1280, "height": 800}
RESTART = Path(__file__).with_name("restart.js")


# Whether a page is used by more than one test; "last": it may come from an earlier one, and goes to none.
Share = Literal["always", "last", "never"]


class Loaded(NamedTuple):
    """A page that has loaded the console.

    Attributes:
        app: the host and port that it came from.
        cookies: those it was loaded with: Gradio's session belongs to one person.
    """

    page: Page
    app: str
    cookies: str


class Profiles:
    """Contexts of the browser, each with the storage of a person, used by one test after the other.

    A context keeps the scripts of the console: in a new one the console takes four times the CPU to load. It
    also keeps a page that a test has left, if that passed. The next test on the same app gets this page, with
    the console's own scripts started anew (`restart.js`), for a quarter of the CPU of a load.

    Attributes:
        lasting: apps that outlive the file of a test.
        problems: errors of scripts in all windows since the test began.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: dict[str, list[BrowserContext]] = {}
        self._loaded: dict[BrowserContext, Loaded] = {}
        self.lasting: set[str] = set()
        self.problems: list[str] = []

    def take(self, options: dict[str, Any], app: str = "", cookies: str = "") -> BrowserContext:
        """A context of these options that nobody has and that stores nothing; with its page if one has it."""

        def rank(context: BrowserContext) -> int:
            loaded = self._loaded.get(context)
            return 1 if loaded is None else 0 if (loaded.app, loaded.cookies) == (app, cookies) else 2

        free = self._free.get(_key(options))
        if free:
            best = min(free, key=rank)
            free.remove(best)
            return best
        context = self._browser.new_context(**options)
        context.add_init_script(path=RESTART)
        context.new_page()  # it stays open and empty, so that the process that all pages share goes on
        return context

    def take_page(self, context: BrowserContext, app: str, cookies: str) -> Page | None:
        """The page that a context has kept, stopped; one of another app or person is closed."""
        loaded = self._loaded.pop(context, None)
        if loaded and (loaded.app, loaded.cookies) == (app, cookies):
            return loaded.page
        if loaded:
            loaded.page.close()
        return None

    def new_page(self, context: BrowserContext) -> Page:
        """A page that is watched for errors."""
        page = context.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on(
            "console",
            lambda said: self.problems.append(said.text) if "Content Security" in said.text else None,
        )
        return page

    def give_back(self, options: dict[str, Any], context: BrowserContext, keep: Loaded | None = None) -> None:
        """Close its pages, but the one to keep, and delete what they stored."""
        empty, *pages = context.pages
        session = context.new_cdp_session(empty)
        origins = {"/".join(page.url.split("/")[:3]) for page in pages if page.url.startswith("http")}
        if keep:
            keep.page.unroute_all()
            keep.page.evaluate("stopConsole()")
            self._loaded[context] = keep
        for page in pages:
            if not keep or page is not keep.page:
                page.close()
        for origin in origins:
            kinds = {"origin": origin, "storageTypes": "local_storage,indexeddb,service_workers"}
            session.send("Storage.clearDataForOrigin", kinds)
        session.detach()
        context.clear_cookies()
        context.clear_permissions()
        self._free.setdefault(_key(options), []).append(context)

    def end_file(self) -> None:
        """Close the pages of apps that end with the file of a test."""
        for context, loaded in list(self._loaded.items()):
            if loaded.app not in self.lasting:
                self._loaded.pop(context).page.close()


def _key(options: dict[str, Any]) -> str:
    return str(sorted(options.items()))


class Windows:
    """The windows of one test."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles
        # The options of its context, if others may have that.
        self._taken: list[tuple[dict[str, Any] | None, BrowserContext, Loaded | None]] = []
        profiles.problems.clear()

    def open(
        self,
        url: str,
        thread_id: str = "",
        *,
        prepare: Callable[[Page], object] | None = None,
        cookies: Sequence[Any] = (),
        viewport: Any = DESKTOP,
        color_scheme: Any = "light",
        reduced_motion: Any = "no-preference",
        share: Share | None = None,
        clock: bool = False,
        **options: Any,
    ) -> Page:
        """The console in a window of its own.

        Args:
            url: of an app, or of a place in its console.
            prepare: called with the page before the console's scripts start.
            cookies: of the person whose window it is.
            share: whether the page may come from an earlier test, and go to a later one. By default it does
                both, or neither where there is something to prepare; of that, only routes end with a test.
            clock: whether the test changes the page's clock, which is that of the whole context.
            options: of `Browser.new_context`.
        """
        address = f"{url}/?thread={thread_id}" if thread_id else url
        app, _, path = address.removeprefix("http://").partition("/")
        context = self._profiles.take(options, app, str(cookies))
        if cookies:
            context.add_cookies(list(cookies))
        share = share or ("last" if clock else "never" if prepare else "always")
        start = _Start(address, f"/{path}", viewport, color_scheme, reduced_motion, prepare)
        page = self._profiles.take_page(context, app, str(cookies))
        if page and (share == "never" or not start.again(page)):
            page.close()
            page = None
        if not page:
            page = self._profiles.new_page(context)
            start.load(page)
        loaded = Loaded(page, app, str(cookies)) if share == "always" else None
        self._taken.append((None if clock else options, context, loaded))
        expect(page.locator("#ss-state")).to_have_attribute("data-state", "live")
        expect(page.locator("body.ss-chat-loaded")).to_be_visible()
        return page

    def close(self, *, keep: Callable[[str], bool]) -> None:
        """Give all of them back, and keep the pages of the apps that `keep` is true for."""
        for options, context, loaded in self._taken:
            if options is None:
                context.close()
                continue
            is_kept = loaded is not None and keep(loaded.app) and _is_console(loaded.page)
            self._profiles.give_back(options, context, loaded if is_kept else None)


def _is_console(page: Page) -> bool:
    return not page.is_closed() and bool(page.evaluate("Boolean(window.ssConfig)"))


class _Start(NamedTuple):
    """How a window begins: its whole address, the one within the app, how it looks, and what comes before."""

    address: str
    path: str
    viewport: Any
    color_scheme: Any
    reduced_motion: Any
    prepare: Callable[[Page], object] | None

    def load(self, page: Page) -> None:
        """Load the console."""
        self._prepare(page)
        page.goto(self.address)

    def again(self, page: Page) -> bool:
        """Start the scripts of a stopped page anew; False where the page can't be used."""
        try:
            page.mouse.move(0, 0)
            self._prepare(page)
            return bool(page.evaluate("path => startConsole(path)", self.path))
        except Error:
            return False  # it has left the console by itself, because its app ended

    def _prepare(self, page: Page) -> None:
        if page.viewport_size != self.viewport:
            page.set_viewport_size(self.viewport)
        page.emulate_media(color_scheme=self.color_scheme, reduced_motion=self.reduced_motion)
        if self.prepare:
            self.prepare(page)
