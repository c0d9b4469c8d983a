// The queue by keyboard. A key acts on the card that has the focus, or moves there; approving takes two presses.

import { node } from "./text.js";

const KEYS = [["j", "next card"], ["k", "card before"], ["a a", "approve"], ["r", "reject"], ["e", "edit"], ["c", "claim or release"],
  ["x", "select"], ["h", "history"], ["/", "search"], ["?", "these keys"]];
const SURE_MS = 3000;

/** Listen for keys; `queue` gives what there is and what can be done with it. */
export function listen(queue) {
  const help = node("div", { class: "ss-card ss-keys", hidden: true, role: "dialog", "aria-label": "Keys" },
    node("b", {}, "Keys"), node("dl", {}, KEYS.map(([key, does]) => [node("dt", {}, node("kbd", {}, key)), node("dd", {}, does)])));
  let sure = null;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !queue.visible()) return;
    if (event.key === "Escape") { help.hidden = true; return; }
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const cards = queue.shown();
    const place = cards.findIndex((card) => card.element.contains(document.activeElement));
    const done = act(event.key, cards, place);
    if (done) event.preventDefault();
  });

  function act(key, cards, place) {
    const card = cards[place];
    if (key === "?") { help.hidden = !help.hidden; return true; }
    if (key === "/") { queue.search(); return true; }
    if (key === "j" || key === "k") {
      const next = cards[place < 0 ? 0 : place + (key === "j" ? 1 : -1)];
      next?.element.focus();
      next?.element.scrollIntoView({ block: "nearest" });
      return Boolean(next);
    }
    if (!card) return false;
    if (key === "a") return approve(card);
    const press = { r: "reject", e: "edit", c: "claim", x: "select", h: "history" }[key];
    if (!press) return false;
    queue.press(card, press);
    return true;
  }

  /** A stray key approves nothing: the second press within three seconds does. */
  function approve(card) {
    if (sure?.card === card) {
      clearTimeout(sure.timer);
      sure = null;
      queue.press(card, "approve");
      return true;
    }
    const button = queue.button(card, "approve");
    if (!button) return false;
    const label = button.textContent;
    button.textContent = "Press a again to approve";
    const timer = setTimeout(() => { button.textContent = label; sure = null; }, SURE_MS);
    sure = { card, timer };
    return true;
  }

  return help;
}
