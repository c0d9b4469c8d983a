// Keyboard shortcuts of the views of approvals.

import { node } from "../shell/dom.js";
import { undoLast } from "./held.js";

const SHORTCUTS = [["j", "Next"], ["k", "Previous"], ["a a", "Approve"], ["r", "Reject"], ["e", "Edit"],
  ["c", "Claim or release"], ["x", "Select"], ["h", "History"], ["z", "Undo the last decision"], ["/", "Search"],
  ["?", "Show shortcuts"]];
/** @type {Record<string, CardAction>} */
const ACTIONS = { r: "reject", e: "edit", c: "claim", x: "select", h: "history" };
const CONFIRM_MS = 3000;

/**
 * Listens for keys while a view is visible. Returns a button that shows the shortcuts, and their dialog.
 * @param {{current: () => Card | undefined, move: (step: 1 | -1) => boolean, isVisible: () => boolean, search: () => void, press: (card: Card, action: CardAction) => void}} view
 */
export function listenForKeys(view) {
  const help = node("dialog", { class: "ss-card ss-keys", "aria-label": "Keyboard shortcuts" },
    node("b", {}, "Keyboard shortcuts"),
    node("dl", {}, SHORTCUTS.map(([key, action]) => [node("dt", {}, node("kbd", {}, key)), node("dd", {}, action)])),
    node("form", { method: "dialog" }, node("button", { class: "ss-button" }, "Close")));
  const button = node("button", { type: "button", class: "ss-link ss-keys-button", onclick: () => toggle() },
    "Keyboard shortcuts ", node("kbd", { "aria-hidden": "true" }, "?"));
  /** @type {{card: Card, timer: number} | null} */
  let armed = null;

  function toggle() {
    if (help.open) help.close();
    else help.showModal();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !view.isVisible()) return;
    if (event.target instanceof Element && event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
    if (help.open && event.key !== "?") return;
    if (handle(event.key)) event.preventDefault();
  });

  /** Whether the key is a shortcut that applies now. @param {string} key */
  function handle(key) {
    if (key === "?") { toggle(); return true; }
    if (key === "/") { view.search(); return true; }
    if (key === "z") return undoLast();
    if (key === "j" || key === "k") return view.move(key === "j" ? 1 : -1);
    const card = view.current();
    if (!card) return false;
    if (key === "a") return approve(card);
    if (!ACTIONS[key]) return false;
    view.press(card, ACTIONS[key]);
    return true;
  }

  /** Approves on the second press within three seconds, so that a stray key approves nothing. @param {Card} card */
  function approve(card) {
    if (armed?.card === card) {
      clearTimeout(armed.timer);
      armed = null;
      view.press(card, "approve");
      return true;
    }
    const button = card.buttons.approve;
    if (!button?.isConnected) return false;
    const label = button.textContent;
    button.textContent = "Press a again to approve";
    const timer = setTimeout(() => { button.textContent = label; armed = null; }, CONFIRM_MS);
    armed = { card, timer };
    return true;
  }

  return { help, button };
}

/** Does what a key stands for, by pressing the card's own button. @param {Card} card @param {CardAction} action */
export function pressOn(card, action) {
  if (action === "select") card.select.click();
  else if (action === "claim") { if (!card.claimButton.hidden) card.claimButton.click(); }
  else if (action === "history") card.history.element.open = !card.history.element.open;
  else {
    const button = card.buttons[action];
    if (button?.isConnected && !button.hidden) button.click();
  }
}
