// What an approval's card says will change: each line before and after, as it was found on a copy.

import { node } from "./text.js";

/** A list of the lines, or null where there are none. */
export function effectLines(effect, label) {
  if (!Array.isArray(effect) || effect.length === 0) return null;
  return node("ul", { class: "ss-effect", "aria-label": label }, effect.map((line) =>
    node("li", {},
      node("span", { class: "ss-muted" }, [line.subject, line.field].filter(Boolean).join(" · ")),
      node("span", { class: "ss-change" },
        node("s", {}, line.before || "none"), node("span", { "aria-label": "becomes" }, "→"),
        node("b", {}, line.after || "none")))));
}
