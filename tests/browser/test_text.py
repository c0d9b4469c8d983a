"""Text of every kind on the screen: nothing hides in it, and each script reads in its own direction."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt
from playwright.sync_api import Locator, expect

from pages import sanitize
from smart_support import Settings, create_app
from tests.browser.conftest import Save, Window
from tests.support.console import chat, press, say
from tests.support.harness import LocalApp

ARABIC = "أعيدوا المبلغ 25.00 للطلب 1044"
HIDDEN = "\u200b\u200d\u00ad\u2060\u3164\u2800\ufe0f\U000e0101\U000e0041\u180e"
# Every character between two digits, as the page shows it: a digest, as the text itself has ten megabytes.
IN_PAGE = """async () => {
  const { exact, visible } = await import("/console/shell/dom.js");
  let text = "\\0";
  for (let code = 1; code < 0x110000; code += 1) {
    if (code < 0xd800 || code > 0xdfff) text += `1${String.fromCodePoint(code)}`;
  }
  const digest = async (shown) => {
    const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(shown));
    return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  return [await digest(visible(text)), await digest(exact(text))];
}"""


def ask(state: MessagesState) -> dict[str, Any]:
    """One write whose arguments hide a character each, in a conversation in Arabic."""
    order_ids = {f"order_{place}": f"10{hidden}44" for place, hidden in enumerate(HIDDEN)}
    answer = interrupt({"action": "refund", "note": ARABIC, **order_ids})
    return {"messages": [AIMessage(f"{ARABIC} {answer}")]}


@pytest.fixture
def app(data_dir: Path) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    compiled = graph.compile(checkpointer=InMemorySaver())
    with LocalApp(create_app(Settings(data_dir=data_dir), graph=compiled)) as running:
        yield running


def _direction(place: Locator) -> str:
    """The direction in which the text of an element is laid out: that of its first line's first letter."""
    style = "element => [getComputedStyle(element).unicodeBidi, getComputedStyle(element).direction]"
    bidi, direction = place.evaluate(style)
    return "as its text" if bidi == "plaintext" else str(direction)


def test_nothing_hides_and_arabic_reads_from_the_right(
    app: LocalApp, open_window: Window, thread_id: str, save: Save
) -> None:
    page = open_window(app.url, thread_id)
    message = page.get_by_label("Message", exact=True)
    assert _direction(message) == "as its text"
    say(page, ARABIC)
    card = page.locator(".ss-approval")
    for hidden in HIDDEN:
        expect(card.locator(".ss-args")).to_contain_text(f"10⟨U+{ord(hidden):04X}⟩44")
    assert not re.search("[\u200b\u200d\u00ad\ufe0f]", card.inner_text())
    assert _direction(card.locator(".ss-args dd span").filter(has_text="أعيدوا").first) == "rtl"
    assert _direction(chat(page).locator(".user.message :is(p, .md)").first) == "as its text"
    save(page, "console-right-to-left")
    press(card, "Edit")
    expect(card.locator(".ss-hidden:visible").first).to_contain_text("10⟨U+200B⟩44")
    assert _direction(card.get_by_label("note", exact=True)) == "rtl"
    save(page, "console-right-to-left-edit")
    press(card, "Cancel")
    press(card, "Approve")
    expect(page.locator(".ss-decided")).to_be_visible()
    page.get_by_role("tab", name="Replay").click()
    page.locator(f'.ss-conversations button[data-thread="{thread_id}"]').click()
    said = page.locator(".ss-step--customer .ss-said").first
    expect(said).to_have_text(ARABIC)
    assert _direction(said) == _direction(page.locator(".ss-opening").first) == "rtl"
    save(page, "replay-right-to-left")
    everything = "1".join(chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF)
    for show, digest in zip((sanitize.visible, sanitize.exact), page.evaluate(IN_PAGE), strict=True):
        assert hashlib.sha256(show(everything).encode()).hexdigest() == digest
