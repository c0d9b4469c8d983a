// The changes that an approval makes: each line with its value before and after.

import { exact, node } from "../shell/dom.js";

/**
 * A list of changes; null where there are none.
 * @param {EffectLine[] | null | undefined} lines
 * @param {string} label
 */
export function effectList(lines, label) {
  if (!Array.isArray(lines) || lines.length === 0) return null;
  return node("ul", { class: "ss-effect", "aria-label": label }, lines.map((line) =>
    node("li", {},
      node("span", { class: "ss-muted" }, exact([line.subject, line.field].filter(Boolean).join(" · "))),
      node("span", { class: "ss-change" },
        node("s", {}, exact(line.before || "none")), node("span", { "aria-label": "becomes" }, "→"),
        node("b", {}, exact(line.after || "none"))))));
}
