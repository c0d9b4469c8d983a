"""Changed since you looked, as a lead sees it: the card comes back and says what is different."""

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Save, Window
from tests.support.harness import AppProcess


def test_a_card_that_is_out_of_date_comes_back_with_what_changed(
    data_dir: Path, open_window: Window, save: Save
) -> None:
    with AppProcess(data_dir) as app:
        app.post("/chat", {"thread_id": "a", "message": "give me 10% off order 1042"})
        move = "change the address of 1042 to 5 Rue Neuve, 69001 Lyon, France"
        app.post("/chat", {"thread_id": "b", "message": move})
        page = open_window(app.url, thread_id="a")
        cards = page.locator(".ss-approval")
        expect(cards).to_have_count(2)
        cards.filter(has_text="Update shipping address").get_by_role("button", name="Approve").click()
        expect(cards).to_have_count(1)
        page.locator(".ss-approval").get_by_role("button", name="Approve").click()
        again = page.locator(".ss-approval", has_text="This changed after it was approved")
        expect(again).to_contain_text("shipping address")
        expect(again).to_contain_text("5 Rue Neuve, 69001 Lyon, France")
        expect(page.locator(".ss-leaving")).to_have_count(0)
        save(page, "console-changed-light")
        again.get_by_role("button", name="Approve").click()
        expect(page.locator("#ss-chat-side")).to_contain_text("10% off and costs €111.60")
