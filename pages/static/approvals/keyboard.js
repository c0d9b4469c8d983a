// Keyboard shortcuts of the approval queue. A key acts on the card with the focus, or moves the focus.

import { node } from "../shell/dom.js";

const SHORTCUTS = [["j", "Next"], ["k", "Previous"], ["a a", "Approve"], ["r", "Reject"], ["e", "Edit"],
  ["c", "Claim or release"], ["x", "Select"], ["h", "History"], ["/", "Search"], ["?", "Show shortcuts"]];
/** @type {Record<string, CardAction>} */
const ACTIONS = { r: "reject", e: "edit", c: "claim", x: "select", h: "history" };
const CONFIRM_MS = 3000;

/**
 * Listens for keys. Returns the help dialog.
 * @param {{shown: () => Card[], isVisible: () => boolean, search: () => void, press: (card: Card, action: CardAction) => void}} queue
 */
export function listenForKeys(queue) {
  const help = node("div", { class: "ss-card ss-keys", hidden: true, role: "dialog", "aria-label": "Keyboard shortcuts" },
    node("b", {}, "Keyboard shortcuts"),
    node("dl", {}, SHORTCUTS.map(([key, action]) => [node("dt", {}, node("kbd", {}, key)), node("dd", {}, action)])));
  /** @type {{card: Card, timer: number} | null} */
  let armed = null;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !queue.isVisible()) return;
    if (event.key === "Escape") { help.hidden = true; return; }
    if (event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (handle(event.key)) event.preventDefault();
  });

  /** Whether the key is a shortcut that applies now. @param {string} key */
  function handle(key) {
    const cards = queue.shown();
    const index = cards.findIndex((card) => card.element.contains(document.activeElement));
    const card = cards[index];
    if (key === "?") { help.hidden = !help.hidden; return true; }
    if (key === "/") { queue.search(); return true; }
    if (key === "j" || key === "k") {
      const next = cards[index < 0 ? 0 : index + (key === "j" ? 1 : -1)];
      next?.element.focus();
      next?.element.scrollIntoView({ block: "nearest" });
      return Boolean(next);
    }
    if (!card) return false;
    if (key === "a") return approve(card);
    if (!ACTIONS[key]) return false;
    queue.press(card, ACTIONS[key]);
    return true;
  }

  /** Approves on the second press within three seconds, so that a stray key approves nothing. @param {Card} card */
  function approve(card) {
    if (armed?.card === card) {
      clearTimeout(armed.timer);
      armed = null;
      queue.press(card, "approve");
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

  return help;
}
