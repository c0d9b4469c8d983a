// Links from a metric to the conversations that it counts, shown in the Replay tab.

import { node } from "../shell/dom.js";
import { emitWhenReady } from "../shell/events.js";
import { openTab } from "../shell/tabs.js";

/** @type {Record<string, string>} */
export const RANGES = {
  "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days", "90d": "last 90 days", all: "all time",
};

/**
 * A metric, or its name, as a button that shows its conversations.
 * @param {Child} content
 * @param {Metrics} metrics
 * @param {MetricQuery} query filters of conversations that started in the range; or a `figure`, and a `line` of it, that
 *   counts what happened in the range, whenever the conversation started
 */
export function metricLink(content, metrics, query) {
  return node("button", { type: "button", class: "ss-metric-link", title: "Show these conversations", onclick: () => {
    emitWhenReady("replay_find", { params: parameters(metrics, query), range: RANGES[metrics.range] ?? "selected range" });
    openTab("Replay");
  } }, content);
}

/** @param {Metrics} metrics @param {MetricQuery} query */
function parameters({ filters, since, until }, query) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(filters)) if (value) params.set(name, value);
  for (const [name, value] of Object.entries(query)) for (const one of [value].flat()) params.append(name, one);
  params.set("figure" in query ? "counted_since" : "since", since);
  params.set("figure" in query ? "counted_until" : "until", until);
  return params;
}
