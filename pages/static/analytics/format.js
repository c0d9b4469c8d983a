// Numbers, durations and changes as people read them.

import { node } from "../shell/dom.js";

export const NONE = "–";

/** `–`, `15 ms`, `2.4 s`, `1.5 min`, `25 min`, `2.0 h`. @param {number | null} seconds */
export function formatSeconds(seconds) {
  if (seconds === null) return NONE;
  if (seconds < 1) return `${(seconds * 1000).toFixed(0)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = seconds / 60;
  if (minutes < 60) return `${minutes.toFixed(minutes < 10 ? 1 : 0)} min`;
  return `${(minutes / 60).toFixed(1)} h`;
}

/** As `formatSeconds`. @param {number | null} milliseconds */
export const formatMilliseconds = (milliseconds) => formatSeconds(milliseconds === null ? null : milliseconds / 1000);

/** `2,054`. @param {number} count */
export const formatCount = (count) => count.toLocaleString("en");

/** `950`, `12.3 k`, `4.1 M`. @param {number} count */
export function formatShort(count) {
  if (count >= 1_000_000) return `${(count / 1_000_000).toFixed(1)} M`;
  return count >= 1000 ? `${(count / 1000).toFixed(1)} k` : String(count);
}

/** `–`, `86%`. @param {number | null} rate between 0 and 1 */
export const formatPercent = (rate) => (rate === null ? NONE : `${(rate * 100).toFixed(0)}%`);

/** `–`, `$0.0148`, `$30.42`. @param {number | null} cost */
export function formatDollars(cost) {
  if (cost === null) return NONE;
  const digits = cost < 0.1 ? 4 : 2;
  return `$${cost.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

/** `–`, `3`, `2.5`. @param {number | null} value */
export const formatDecimal = (value) => (value === null ? NONE : String(Number(value.toFixed(2))));

/**
 * A change against the previous period, in percent; null where nothing can be compared.
 * @param {number | null} now
 * @param {number | null | undefined} before
 * @param {number} better 1 where more is better, -1 where less is, 0 where neither
 */
export function percentChange(now, before, better = 0) {
  if (now === null || !before) return null;
  const change = (now - before) / before;
  const text = Math.abs(change) < 9.995 ? formatPercent(Math.abs(change)) : `×${formatCount(Math.round(now / before))}`;
  return changeMark(change, text, better);
}

/**
 * A change of a rate against the previous period, in percentage points.
 * @param {number | null} now
 * @param {number | null | undefined} before
 * @param {number} better
 */
export function pointChange(now, before, better) {
  if (now === null || before === null || before === undefined) return null;
  const points = (Math.abs(now - before) * 100).toFixed(0);
  return changeMark(now - before, `${points} ${points === "1" ? "pt" : "pts"}`, better);
}

/** @param {number} change @param {string} text @param {number} better */
function changeMark(change, text, better) {
  if (text === "0%" || text === "0 pts") return node("em", { title: "Same as the previous period" }, "=");
  const tone = better === 0 ? "" : change * better > 0 ? " ss-good" : " ss-bad";
  return node("em", { class: `ss-change-mark${tone}`, title: "Compared with the previous period" }, `${change > 0 ? "▲" : "▼"} ${text}`);
}

/**
 * A `?` that explains a metric when it is pointed at, focused or tapped.
 * @param {string} definition
 */
export const helpButton = (definition) => [
  node("button", { type: "button", class: "ss-help", "aria-label": "What this metric counts", "aria-description": definition }, "?"),
  node("span", { class: "ss-definition", "aria-hidden": "true" }, definition),
];
