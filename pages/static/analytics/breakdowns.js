// What is below the cards: charts, bars and tables, whose lines lead to conversations.

import { chip, node } from "../shell/dom.js";
import { emitWhenReady } from "../shell/events.js";
import { agentTitle, humanize } from "../shell/format.js";
import { openTab } from "../shell/tabs.js";
import { barChart, lineChart } from "./charts.js";
import {
  formatCount, formatDollars, formatMilliseconds, formatPercent, formatSeconds, formatShort, helpButton, NONE,
} from "./format.js";
import { metricLink } from "./links.js";

const MAX_BARS = 8;
const DAY_MS = 86_400_000;
const HASTY_SHARE = 0.25;
const HASTY_MIN_DECISIONS = 5;
/** Outcomes of conversations with their labels and colours. @type {[keyof Outcomes, string, string][]} */
const OUTCOMES = [["resolved", "Resolved", "teal"], ["resolved_with_approval", "Resolved with approval", "indigo"],
  ["escalated", "Escalated", "red"], ["rejected", "Rejected", "purple"], ["abandoned", "Abandoned", "grey"]];
/** Outcomes of approvals with their colours. @type {[ApprovalOutcome, string][]} */
const DECISIONS = [["approved", "teal"], ["edited", "indigo"], ["responded", "indigo"], ["rejected", "red"],
  ["expired", "grey"], ["withdrawn", "grey"], ["pending", "amber"]];
// Shown only where there are any: few agents support them.
const RARE = ["responded", "withdrawn"];
/** @type {Record<string, string>} */
const ESCALATIONS = { asked: "Requested by the customer", policy: "Required by policy", limit: "Too many writes per hour",
  budget: "Model budget used up", failures: "Repeated failures", unknown_outcome: "Unknown outcome of a write",
  expired: "Nobody decided in time" };
/** @type {Record<string, string>} */
const ERRORS = { transient: "Unreachable", validation: "Invalid arguments", auth: "Credentials rejected", unknown: "Other" };

/** @param {Metrics} metrics */
export function charts({ series }) {
  // By their distance: an hour before midnight and one after it have different dates.
  const isHourly = series.length > 1 && Date.parse(series[1].at) - Date.parse(series[0].at) < DAY_MS;
  const labels = series.map(({ at }) => (isHourly ? at.slice(11, 16) : shortDate(at)));
  /** @param {Bucket} bucket */
  const open = (bucket) => bucket.conversations - OUTCOMES.reduce((sum, [outcome]) => sum + bucket[outcome], 0);
  /** @param {"p50" | "p95"} percentile */
  const seconds = (percentile) => series.map(({ latency_ms: latency }) => {
    const value = latency[percentile];
    return value === null ? null : value / 1000;
  });
  return node("div", { class: "ss-charts" },
    barChart({ title: `Conversations per ${isHourly ? "hour" : "day"} (UTC)`, labels, format: formatCount, series: [
      ...OUTCOMES.map(([outcome, name, color]) => ({ name, color, values: series.map((bucket) => bucket[outcome]) })),
      { name: "Open", color: "amber", values: series.map(open) }] }),
    lineChart({ title: "Answer time", labels, format: formatSeconds, series: [
      { name: "Median", color: "indigo", values: seconds("p50") },
      { name: "95th percentile", color: "amber", values: seconds("p95") }] }));
}

/** `3 Mar`. @param {string} at */
const shortDate = (at) => new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

/** @typedef {{name: Child, parts: [number, string][], value: Child}} BarLine */

/**
 * @param {Metrics} metrics
 * @param {Record<string, string>} definitions
 */
export function bars(metrics, definitions) {
  const { outcomes, approvals } = metrics;
  const open = metrics.conversations - Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  /** @type {BarLine[]} */
  const conversations = [
    ...OUTCOMES.map(([outcome, name, color]) => countLine(metricLink(name, metrics, { outcome }), outcomes[outcome], color)),
    countLine("Open", open, "amber"),
  ];
  const decisions = DECISIONS.filter(([outcome]) => approvals[outcome] || !RARE.includes(outcome)).map(([outcome, color]) =>
    countLine(metricLink(humanize(outcome), metrics, { figure: "approvals", line: outcome }), approvals[outcome], color));
  const agents = metrics.agents.map(({ agent, turns }) =>
    countLine(metricLink(agentTitle(agent), metrics, { figure: "agents", line: agent }), turns, "indigo"));
  return node("div", { class: "ss-bars" },
    barList("Conversation outcomes", definitions.outcomes, conversations),
    barList("Approval outcomes", definitions.approvals, decisions),
    barList("Turns by agent", definitions.agents, agents),
    barList("Calls by tool", definitions.tools, metrics.tools.map((tool) => toolLine(tool, metrics))));
}

/** @param {Child} name @param {number} count @param {string} color @returns {BarLine} */
const countLine = (name, count, color) => ({ name, parts: [[count, color]], value: formatCount(count) });

/** @param {ToolMetric} metric @param {Metrics} metrics @returns {BarLine} */
function toolLine({ tool, calls, errors }, metrics) {
  return {
    name: tool ? metricLink(tool, metrics, { figure: "tools", line: tool }) : "(no name)",
    parts: [[Math.max(0, calls - errors), "teal"], [errors, "red"]],
    value: [formatCount(calls), errors ? [" · ", node("span", { class: "ss-bad" }, `${formatCount(errors)} failed`)] : ""],
  };
}

/** @param {string} title @param {string} definition @param {BarLine[]} lines */
function barList(title, definition, lines) {
  /** @param {BarLine} line */
  const total = (line) => line.parts.reduce((sum, [count]) => sum + count, 0);
  const top = Math.max(0, ...lines.map(total)) || 1;
  const rest = lines.length - MAX_BARS;
  return node("div", { class: "ss-card" }, node("strong", {}, `${title} `, helpButton(definition)),
    node("ul", {}, lines.length === 0 ? node("li", { class: "ss-muted" }, "No data") : lines.slice(0, MAX_BARS).map((line) =>
      node("li", {}, node("span", {}, line.name), node("em", {}, line.value),
        node("div", { "aria-hidden": "true" }, line.parts.filter(([count]) => count).map(([count, color]) =>
          node("i", { class: `ss-bar--${color}`, style: `width: ${(100 * count / top).toFixed(2)}%` })))))),
    rest > 0 ? node("small", { class: "ss-muted" }, `and ${rest} more`) : null);
}

/**
 * @param {Metrics} metrics
 * @param {Record<string, string>} definitions
 */
export function tables(metrics, definitions) {
  const times = /** @type {const} */ ([["Full answer", metrics.latency_ms], ["First token", metrics.first_token_ms]]);
  return node("div", { class: "ss-tables" },
    table("Decisions by lead", definitions.leads, ["Lead", "Decided", "Median", "p95", "Under 3 s"],
      metrics.leads.map((lead) => [
        [metricLink(lead.decided_by, metrics, { figure: "leads", line: lead.decided_by }), decisionCounts(lead)],
        formatCount(lead.decided), formatSeconds(lead.median_seconds), formatSeconds(lead.p95_seconds), hastyCount(lead)])),
    table("Approvals by tool", definitions.approval_tools, ["Tool", "Requested", "Median", "p95"],
      metrics.approval_tools.map((one) => [
        [metricLink(one.tool, metrics, { figure: "approval_tools", line: one.tool }), decisionCounts(one)],
        formatCount(one.requested), formatSeconds(one.median_seconds), formatSeconds(one.p95_seconds)])),
    table("Answer times", definitions.latency, ["Time", "Median", "p95", "p99"], times.map(([name, time]) =>
      [name, formatMilliseconds(time.p50), formatMilliseconds(time.p95), formatMilliseconds(time.p99)])),
    table("Models", definitions.models, ["Model", "Turns", "Tokens in", "Tokens out", "Cost"], metrics.models.map((one) =>
      [one.model, formatCount(one.turns), formatShort(one.input), formatShort(one.output), formatDollars(one.cost_usd)])),
    table("Tool errors", definitions.tool_errors, ["Reason", "Results"], metrics.tool_errors.map(({ error_class: reason, errors }) =>
      [metricLink(ERRORS[reason] ?? humanize(reason), metrics, { figure: "tool_errors", line: reason }), formatCount(errors)])),
    table("Escalation reasons", definitions.escalations, ["Reason", "Count"], metrics.escalations.map(({ kind, escalations }) =>
      [metricLink(ESCALATIONS[kind] ?? humanize(kind), metrics, { figure: "escalations", line: kind }), formatCount(escalations)])));
}

/** @param {Partial<Record<ApprovalOutcome, number>>} counts */
function decisionCounts(counts) {
  const outcomes = /** @type {const} */ (["approved", "edited", "rejected", "expired", "responded", "withdrawn"]);
  return node("small", {}, outcomes.filter((outcome) => counts[outcome])
    .map((outcome) => `${formatCount(counts[outcome] ?? 0)} ${outcome}`).join(" · "));
}

/** @param {LeadMetric} lead */
function hastyCount({ hasty, hasty_share: share, decided }) {
  const text = `${formatCount(hasty)} (${formatPercent(share)})`;
  if (decided < HASTY_MIN_DECISIONS || share < HASTY_SHARE) return text;
  const warning = chip(text, "red");
  warning.title = "Too fast to have read the card";
  return warning;
}

/** @param {Conversation[]} conversations */
export function latestConversations(conversations) {
  const rows = conversations.map((one) => [
    `${shortDate(one.last_at)} ${one.last_at.slice(11, 16)}`, one.customer_id ?? NONE,
    node("button", { type: "button", class: "ss-metric-link", onclick: () => {
      openTab("Replay");
      emitWhenReady("replay_open", { threadId: one.thread_id });
    } }, one.opening || one.thread_id),
    one.agents.map(agentTitle).join(", ") || NONE, humanize(one.status), one.outcome ? humanize(one.outcome) : NONE]);
  const heads = ["Last activity (UTC)", "Customer", "First message", "Agents", "Status", "Outcome"];
  return node("div", { class: "ss-latest" },
    table("Latest conversations", "The conversations that started last.", heads, rows));
}

/** @param {string} title @param {string} definition @param {string[]} heads @param {Child[][]} rows */
function table(title, definition, heads, rows) {
  return node("div", { class: "ss-card ss-table" }, node("strong", {}, `${title} `, helpButton(definition)),
    node("div", { class: "ss-scroll" }, node("table", {},
      node("thead", {}, node("tr", {}, heads.map((head) => node("th", { scope: "col" }, head)))),
      node("tbody", {}, rows.length ? rows.map((row) => node("tr", {}, row.map((cell) => node("td", {}, cell))))
        : node("tr", {}, node("td", { colspan: String(heads.length), class: "ss-muted" }, "No data"))))));
}
