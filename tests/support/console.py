"""What a person does in the console, in the words of the tests."""

import re

import httpx
from playwright.sync_api import Locator, Page


def say(page: Page, text: str) -> None:
    """Type a message and send it."""
    box = page.get_by_label("Message", exact=True)
    box.fill(text)
    box.press("Enter")


def chat(page: Page) -> Locator:
    """The conversation."""
    return page.get_by_role("log", name="chatbot conversation")


def waiting(page: Page) -> Locator:
    """What the conversation says about a call that waits for a colleague."""
    return chat(page).locator(".ss-wait--pending")


def card(page: Page, text: str) -> Locator:
    """The pending approval that has this text."""
    return page.locator(".ss-approval").filter(has_text=text)


def press(within: Locator, name: str) -> None:
    """Press a button by the text that it shows; its accessible name goes on with what it acts on."""
    within.get_by_role("button", name=re.compile(rf"^{re.escape(name)}( |:|$)")).click()


def clear_approvals(url: str) -> None:
    """Decide all that waits in an app, so that the next test finds nothing there; nothing runs."""
    with httpx.Client(base_url=f"{url}/api/v1", timeout=60) as client:
        listed = client.get("/approvals", params={"status": "pending", "limit": 100}).json()["data"]
        for approval in listed:
            decision = "reject" if "reject" in approval.get("allowed", ["reject"]) else "respond"
            body = {"decision": decision, "reason": "The test is over."}
            client.post(f"/approvals/{approval['approval_id']}/decision", json=body).raise_for_status()
