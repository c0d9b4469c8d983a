// Text and nodes: everything from outside becomes text of a node, with what can't be seen made visible.

const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;
// Joiners that emoji and some scripts need, and the white space that text is made of.
const KEPT = new Set(["\n", "\t", "\u200c", "\u200d"]);

function seen(character) {
  if (KEPT.has(character)) return character;
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

/** Control and bidirectional characters as signs: `␀`, `⟨U+202E⟩`. */
export function visible(text) {
  return String(text ?? "").replaceAll("\r\n", "\n").replace(UNSEEN, seen);
}

/** An element with attributes and children; strings become text, never markup. */
export function node(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined)
    .map((child) => (typeof child === "string" ? visible(child) : child)));
  return element;
}

/** `cancel_order` -> `Cancel order`. */
export function words(name) {
  const text = String(name ?? "").replaceAll("_", " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A moment as people say it, seen from `now`. */
export function ago(moment, now) {
  const seconds = Math.max(0, (now - moment) / 1000);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(moment).toLocaleDateString(undefined, { day: "numeric", month: "short" });
}

/** `12:04`, in the viewer's own time. */
export function clock(moment) {
  return new Date(moment).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}
