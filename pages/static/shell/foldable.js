// Text that is cut where it is long, with a button to show all of it.

import { linkButton, node, visible } from "./dom.js";

const MAX_CHARS = 140;
const MAX_LINES = 4;

/**
 * Text that is cut where it is long, with a button to show all of it.
 * @param {unknown} given
 * @param {number} limit in characters
 */
export function foldable(given, limit = MAX_CHARS) {
  const text = visible(given);
  if (text.length <= limit && text.split("\n").length <= MAX_LINES) return node("span", {}, text);
  const short = `${text.slice(0, limit).split("\n").slice(0, MAX_LINES).join("\n")}…`;
  const label = `Show all ${text.length.toLocaleString("en")} characters`;
  const shown = node("span", {}, short);
  const toggle = linkButton(label, () => {
    const isOpen = toggle.getAttribute("aria-expanded") !== "true";
    toggle.setAttribute("aria-expanded", String(isOpen));
    shown.textContent = isOpen ? text : short;
    toggle.textContent = isOpen ? "Show less" : label;
  });
  toggle.setAttribute("aria-expanded", "false");
  return node("span", {}, shown, " ", toggle);
}
