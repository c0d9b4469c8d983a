// Parts of an approval that only show it.

import { exact, node } from "../shell/dom.js";
import { foldable } from "../shell/foldable.js";
import { humanize } from "../shell/format.js";
import { asMoney } from "../shell/money.js";
import { effectList } from "./effect.js";

/** A part with a heading. @param {Child} title @param {...Child} content */
export const section = (title, ...content) => node("section", {}, node("h4", {}, title), ...content);

/** Where the call goes. @param {Approval["target"]} target */
export function targetLine(target) {
  if (!target) return null;
  return node("p", { class: "ss-muted ss-target" }, "Sends ", node("code", {}, exact(target.method)), " to ", node("code", {}, exact(target.url)));
}

/** @param {EffectLine[] | null | undefined} changed */
export function changedFacts(changed) {
  if (!Array.isArray(changed) || changed.length === 0) return null;
  return node("div", { class: "ss-changed" },
    node("b", {}, "This changed after it was approved, so nothing was done. Review it again."),
    effectList(changed.map((line) => ({ ...line, field: humanize(line.field).toLowerCase() })), "Changed since the approval"));
}

/** A call's arguments, each with its name; amounts also as money. @param {Approval} approval */
export function argumentList(approval) {
  const entries = Object.entries(approval.args ?? {});
  if (entries.length === 0) return null;
  return node("dl", { class: "ss-args" }, entries.map(([name, given]) => [node("dt", {}, exact(name)),
    node("dd", {}, foldable(exact(typeof given === "string" ? given : JSON.stringify(given, null, 1))),
      moneyNote(name, given, approval))]));
}

/** @param {string} name @param {unknown} given @param {Approval} approval */
function moneyNote(name, given, approval) {
  const text = asMoney(name, given, approval);
  return text ? node("span", { class: "ss-muted" }, ` = ${text}`) : null;
}

/** What the policy judged, without what the arguments say already. @param {Approval} approval */
export function factList(approval) {
  const entries = Object.entries(approval.facts ?? {}).filter(([name, given]) =>
    given !== null && given !== "" && name !== "currency" && !(name in approval.args));
  if (entries.length === 0) return null;
  return node("dl", { class: "ss-facts" }, entries.map(([name, given]) => [
    node("dt", {}, humanize(name.replace(/_cents$/, ""))),
    node("dd", {}, asMoney(name, given, approval) ?? exact(typeof given === "string" ? given : JSON.stringify(given)))]));
}
