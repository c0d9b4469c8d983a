// The conversations beside the steps: searched, filtered, a page at a time.

import { now } from "../shell/connection.js";
import { chip, find, messageOf, node, prose, showError } from "../shell/dom.js";
import { knownName } from "../shell/customers.js";
import { emit, on } from "../shell/events.js";
import { agentTitle, humanize, timeAgo } from "../shell/format.js";
import { register } from "../shell/mounts.js";
import { requestPage } from "../shell/rest.js";
import { onTab } from "../shell/tabs.js";
import { keepInPlace } from "./replay.js";

const TYPING_MS = 250;
const PAGE_SIZE = "25";
/** @type {Record<string, string>} */
const OUTCOME_COLORS = { resolved: "green", resolved_with_approval: "green", escalated: "red", rejected: "red", abandoned: "amber" };
/** @type {Record<string, string>} */
const FILTERS = { outcome: "Outcome", tool: "Tool", approval: "Approval", decided_by: "Decided by",
  error_class: "Tool error", escalation: "Escalation", channel: "Channel" };
/** @type {Record<string, string>} */
const METRICS = { agents: "Turns by agent", tools: "Calls by tool", tool_errors: "Tool errors", by_policy: "Auto-approved by policy",
  escalations: "Escalation reasons", approvals: "Approvals", leads: "Decisions by lead", approval_tools: "Approvals by tool" };
/** Parameters that one filter chip stands for. @type {Record<string, string[]>} */
const PARAMETERS = { since: ["since", "until"], figure: ["figure", "line", "counted_since", "counted_until"] };

register("replay_list", (root) => {
  const [panel, problem, list, none, filters] = [".ss-list", ".ss-list .ss-problem", ".ss-conversations", ".ss-none",
    ".ss-narrowed"].map((selector) => find(root, selector));
  const form = find(root, ".ss-find", HTMLFormElement);
  const more = find(root, ".ss-more");
  /** @type {string | null} */
  let cursor = null;
  /** @type {string | null} */
  let openThread = null;
  let latest = 0;
  let typing = 0;
  let narrowed = new URLSearchParams();
  let rangeLabel = "";

  async function load({ isMore = false } = {}) {
    const version = ++latest;
    const query = new URLSearchParams({ limit: PAGE_SIZE });
    for (const [name, value] of new FormData(form)) if (String(value).trim()) query.set(name, String(value).trim());
    for (const [name, value] of narrowed) query.append(name, value);
    if (isMore && cursor) query.set("cursor", cursor);
    panel.setAttribute("aria-busy", "true");
    try {
      const page = await requestPage("GET", `/conversations?${query}`);
      // The filters were changed in the meantime.
      if (version !== latest) return;
      showError(problem, "");
      cursor = page.meta.next_cursor;
      // On a phone the list stands above the steps, which somebody may be reading.
      const isAbove = panel.getBoundingClientRect().bottom < 60;
      if (isAbove) keepInPlace(() => show(page.data, query, isMore));
      else show(page.data, query, isMore);
    } catch (error) {
      if (version === latest) showError(problem, `Couldn't load the conversations: ${messageOf(error)}`, () => load({ isMore }));
    } finally {
      if (version === latest) panel.removeAttribute("aria-busy");
    }
  }

  /** @param {Conversation[]} conversations @param {URLSearchParams} query @param {boolean} isMore */
  function show(conversations, query, isMore) {
    if (!isMore) list.replaceChildren();
    list.append(...conversations.map(item));
    more.hidden = !cursor;
    none.hidden = list.children.length > 0;
    const isFiltered = [...query.keys()].some((name) => name !== "limit");
    none.replaceChildren(...(isFiltered
      ? [node("strong", {}, "No conversations found"), "Try other words or fewer filters."]
      : [node("strong", {}, "No conversations yet"), "Send a message in the Console tab."]));
  }

  /** @param {Conversation} conversation */
  function customerOf({ customer_id: id }) {
    const name = id === null ? null : knownName(id);
    return name === null ? id ?? "Unknown customer" : `${name} · ${id}`;
  }

  /** @param {Conversation} conversation */
  function item(conversation) {
    const { thread_id: threadId, status, outcome } = conversation;
    const button = node("button",
      { type: "button", class: "ss-card", "aria-pressed": String(threadId === openThread),
        onclick: () => emit("replay_open", { threadId }) },
      node("b", { class: "ss-opening" }, prose(conversation.opening || threadId)),
      node("span", { class: "ss-customer" }, node("span", {}, customerOf(conversation)),
        node("time", { datetime: conversation.last_at, title: conversation.last_at },
          timeAgo(Date.parse(conversation.last_at), now()))),
      node("span", { class: "ss-chips" }, chip(humanize(status), status === "waiting" ? "amber" : ""),
        outcome ? chip(humanize(outcome), OUTCOME_COLORS[outcome]) : null,
        conversation.agents.slice(0, 3).map((agent) => chip(agentTitle(agent), "teal"))));
    button.dataset.thread = threadId;
    return node("li", {}, button);
  }

  /**
   * Shows the conversations that a metric counted: in the form where it has a field, else as chips.
   * @param {{params: URLSearchParams, range: string}} filter
   */
  function narrow({ params, range }) {
    narrowed = new URLSearchParams(params);
    rangeLabel = range;
    form.reset();
    for (const name of new Set(params.keys())) {
      const values = params.getAll(name);
      const field = form.elements.namedItem(name);
      if (values.length > 1 || !(field instanceof HTMLInputElement || field instanceof HTMLSelectElement)) continue;
      field.value = values[0];
      narrowed.delete(name);
    }
    showFilters();
    load();
  }

  function showFilters() {
    /** @type {[string, string][]} */
    const chips = [...new Set(narrowed.keys())].filter((name) => FILTERS[name])
      .map((name) => [name, `${FILTERS[name]}: ${narrowed.getAll(name).map(humanize).join(" or ")}`]);
    const [metric, line] = [narrowed.get("figure"), narrowed.get("line")];
    if (metric === "approvals" && line) chips.push(["figure", `${humanize(line)} approvals, ${rangeLabel}`]);
    else if (metric) chips.push(["figure", `${METRICS[metric]}${line ? `: ${agentTitle(line)}` : ""}, ${rangeLabel}`]);
    if (narrowed.has("since")) chips.push(["since", `Started in the ${rangeLabel}`]);
    filters.hidden = chips.length === 0;
    filters.replaceChildren(...chips.map(([name, text]) => node("button",
      { type: "button", class: "ss-chip", "aria-label": `Remove filter ${text}`, onclick: () => widen(name) }, `${text} ✕`)));
  }

  /** @param {string} name */
  function widen(name) {
    for (const parameter of PARAMETERS[name] ?? [name]) narrowed.delete(parameter);
    showFilters();
    load();
  }

  find(form, "[name=agent]").append(...Object.entries(window.ssConfig?.agents ?? {})
    .map(([name, text]) => node("option", { value: name }, text)));
  form.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(load, TYPING_MS);
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); load(); });
  more.addEventListener("click", () => load({ isMore: true }));
  find(root, ".ss-up").addEventListener("click", () => {
    panel.scrollIntoView({ block: "start" });
    const target = list.querySelector("[aria-pressed=true]") ?? form.elements.namedItem("q");
    if (target instanceof HTMLElement) target.focus({ preventScroll: true });
  });
  load();
  onTab("Replay", () => { if (!panel.hasAttribute("aria-busy")) load(); });
  on("replay_find", narrow);
  on("replay_opening", (threadId) => {
    openThread = threadId;
    for (const button of list.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.thread === threadId));
    }
  });
});
