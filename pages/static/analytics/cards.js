// The metric cards: each a number with its change, its trend, and a link to its conversations.

import { node } from "../shell/dom.js";
import { plural } from "../shell/format.js";
import {
  formatCount, formatDecimal, formatDollars, formatMilliseconds, formatPercent, formatSeconds, formatShort, helpButton,
  percentChange, pointChange,
} from "./format.js";
import { metricLink } from "./links.js";
import { trendLine } from "./charts.js";

const OUTCOMES = /** @type {const} */ (["resolved", "resolved_with_approval", "escalated", "rejected", "abandoned"]);
const RESOLVED = { outcome: ["resolved", "resolved_with_approval"] };

/**
 * `definition`: the name of the metric's definition; `trend`: its values over the range; `query`: its conversations.
 * @typedef {{label: string, value: string, note: Child, definition: string, change: Child, trend: (number | null)[],
 *   query?: MetricQuery}} MetricCard
 */

/**
 * The cards of a range.
 * @param {Metrics} metrics
 * @param {Record<string, string>} definitions
 */
export function metricCards(metrics, definitions) {
  const cards = [...outcomeCards(metrics), ...approvalCards(metrics), ...costCards(metrics)];
  const isComparable = Boolean(metrics.previous) || metrics.range === "all";
  return [
    node("div", { class: "ss-metrics" }, cards.map((card) => cardElement(card, metrics, definitions))),
    isComparable ? null : node("p", { class: "ss-muted ss-no-comparison" }, "Not enough history to compare."),
  ];
}

/** @param {MetricCard} card @param {Metrics} metrics @param {Record<string, string>} definitions */
function cardElement(card, metrics, definitions) {
  const value = node("b", {}, card.value);
  return node("div", { class: "ss-card" },
    node("span", { class: "ss-metric-name" }, `${card.label} `, helpButton(definitions[card.definition])),
    node("div", { class: "ss-metric-line" }, card.query ? metricLink(value, metrics, card.query) : value, card.change),
    trendLine(card.trend), node("small", {}, card.note));
}

/** @param {number} part @param {number} whole */
const rate = (part, whole) => (whole ? part / whole : null);

/** @param {Bucket} bucket */
const judged = (bucket) => OUTCOMES.reduce((sum, outcome) => sum + bucket[outcome], 0);

/** @param {Metrics} metrics @returns {MetricCard[]} */
function outcomeCards(metrics) {
  const { series, outcomes, reopened, turns_to_resolution: turns, previous: before } = metrics;
  /** @param {"resolved_with_approval" | "rejected" | "abandoned"} outcome */
  const link = (outcome) => metricLink(formatCount(outcomes[outcome]), metrics, { outcome });
  return [{
    label: "Conversations", value: formatCount(metrics.conversations), definition: "outcomes", query: {},
    note: plural(metrics.agents.reduce((sum, agent) => sum + agent.turns, 0), "agent turn"),
    change: percentChange(metrics.conversations, before?.conversations),
    trend: series.map((bucket) => bucket.conversations),
  }, {
    label: "Resolved", value: formatPercent(metrics.resolution_rate), definition: "outcomes", query: RESOLVED,
    note: [link("resolved_with_approval"), " with approval · ", link("rejected"), " rejected · ",
      link("abandoned"), " abandoned"],
    change: pointChange(metrics.resolution_rate, before?.resolution_rate, 1),
    trend: series.map((bucket) => rate(bucket.resolved + bucket.resolved_with_approval, judged(bucket))),
  }, {
    label: "Escalated", value: formatPercent(metrics.escalation_rate), definition: "escalations", query: { outcome: "escalated" },
    note: plural(outcomes.escalated, "conversation"),
    change: pointChange(metrics.escalation_rate, before?.escalation_rate, -1),
    trend: series.map((bucket) => rate(bucket.escalated, judged(bucket))),
  }, {
    label: "Reopened", value: formatPercent(reopened.rate), definition: "reopened",
    note: `${formatCount(reopened.reopened)} of ${formatCount(reopened.resolved)} within 7 days`,
    change: pointChange(reopened.rate, before?.reopened.rate, -1),
    trend: series.map((bucket) => rate(bucket.reopened, bucket.of_known_customers)),
  }, {
    label: "Turns to resolve", value: formatDecimal(turns.median), definition: "effort", query: RESOLVED,
    note: `median · p95 ${formatDecimal(turns.p95)}`,
    change: percentChange(turns.median, before?.turns_to_resolution.median, -1),
    trend: series.map((bucket) => bucket.turns_to_resolution),
  }];
}

/** @param {Metrics} metrics @returns {MetricCard[]} */
function approvalCards(metrics) {
  const { series, approvals, previous } = metrics;
  const before = previous?.approvals;
  const pending = metricLink(`${formatCount(approvals.pending)} pending`, metrics, { figure: "approvals", line: "pending" });
  return [{
    label: "Approvals", value: formatCount(approvals.requested), definition: "approvals", query: { figure: "approvals" },
    note: `${formatCount(approvals.approved + approvals.edited)} approved · ${formatCount(approvals.rejected)} rejected`
      + ` · ${formatCount(approvals.expired)} expired`,
    change: percentChange(approvals.requested, before?.requested),
    trend: series.map((bucket) => bucket.approvals),
  }, {
    label: "Time to decide", value: formatSeconds(approvals.median_seconds_to_decide), definition: "approvals",
    note: [`median · p95 ${formatSeconds(approvals.p95_seconds_to_decide)} · `, pending],
    change: percentChange(approvals.median_seconds_to_decide, before?.median_seconds_to_decide, -1),
    trend: series.map((bucket) => bucket.seconds_to_decide),
  }, {
    label: "Auto-approved", value: formatCount(approvals.by_policy), definition: "by_policy", query: { figure: "by_policy" },
    note: "writes approved by policy",
    change: percentChange(approvals.by_policy, before?.by_policy),
    trend: series.map((bucket) => bucket.by_policy),
  }];
}

/** @param {Metrics} metrics @returns {MetricCard[]} */
function costCards(metrics) {
  const { series, latency_ms: latency, tokens, cost_usd: cost, hours_saved: saved, previous: before } = metrics;
  const total = tokens.input + tokens.output;
  return [{
    label: "Answer time", value: formatMilliseconds(latency.p50), definition: "latency",
    note: `median · p95 ${formatMilliseconds(latency.p95)} · first token ${formatMilliseconds(metrics.first_token_ms.p50)}`,
    change: percentChange(latency.p50, before?.latency_ms.p50, -1),
    trend: series.map((bucket) => bucket.latency_ms.p50),
  }, {
    label: "Tokens", value: formatShort(total), definition: "models",
    note: `${formatShort(tokens.input)} in · ${formatShort(tokens.output)} out`,
    change: percentChange(total, before && before.tokens.input + before.tokens.output),
    trend: series.map((bucket) => bucket.tokens),
  }, {
    label: "Model cost", value: formatDollars(cost), definition: "models",
    note: cost === null ? "no price known for this model" : `${formatDollars(metrics.cost_per_conversation_usd)} per conversation`,
    change: percentChange(cost, before?.cost_usd, -1),
    trend: series.map((bucket) => bucket.cost_usd),
  }, {
    label: "Hours saved", definition: "saved",
    value: `${Number(saved.hours.toFixed(1)).toLocaleString("en", { minimumFractionDigits: 1 })} h`,
    note: "based on your estimate per action",
    change: percentChange(saved.hours, before?.hours_saved.hours, 1),
    trend: series.map((bucket) => bucket.hours_saved),
  }];
}
