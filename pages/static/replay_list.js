// The conversations at the left of the Replay tab: searched, filtered, a page at a time. The chosen one's steps:
// replay.js.

import { now, on, onTab, register, tell } from "./shell.js";
import { answered } from "./rest.js";
import { steady } from "./replay.js";
import { ago, node, visible, words } from "./text.js";

const TYPING_MS = 250;
const OUTCOME_COLORS = { resolved: "green", resolved_with_approval: "green", escalated: "red", rejected: "red", abandoned: "amber" };
const NARROWED = { outcome: "Outcome", tool: "Tool", approval: "Approval", decided_by: "Decided by",
  error_class: "Failed", escalation: "A person was called", channel: "Door" };
const FIGURES = { agents: "Turns by agent", tools: "Calls by tool", tool_errors: "Why tools failed", by_policy: "By policy alone",
  escalations: "Why people were called", approvals: "Approvals", leads: "Decisions by lead", approval_tools: "Approvals by tool" };
const part = {};
const list = { cursor: null, asked: 0, narrowed: new URLSearchParams(), chosen: null };

const title = (agent) => window.ssConfig?.agents?.[agent] ?? words(agent);
const chip = (text, color) => node("span", { class: `ss-chip${color ? ` ss-chip--${color}` : ""}` }, text);

async function load({ more = false } = {}) {
  const asked = ++list.asked;
  const query = new URLSearchParams({ limit: "25" });
  for (const [name, value] of new FormData(part.form)) if (String(value).trim()) query.set(name, String(value).trim());
  for (const [name, value] of list.narrowed) query.append(name, value);
  if (more && list.cursor) query.set("cursor", list.cursor);
  part.found.setAttribute("aria-busy", "true");
  try {
    const body = await answered("GET", `/conversations?${query}`);
    // Somebody typed on meanwhile: this answer is to a question that stands no more.
    if (asked !== list.asked) return;
    tellProblem("");
    list.cursor = body.meta.next_cursor;
    // On a phone the list stands above the steps, where somebody may be already.
    const above = part.found.getBoundingClientRect().bottom < 60;
    if (above) steady(() => fill(body.data, query, more));
    else fill(body.data, query, more);
  } catch (error) {
    if (asked === list.asked) tellProblem(`The conversations could not be read: ${error.message}`);
  } finally {
    if (asked === list.asked) part.found.removeAttribute("aria-busy");
  }
}

function fill(conversations, query, more) {
  if (!more) part.conversations.replaceChildren();
  part.conversations.append(...conversations.map(makeConversation));
  part.more.hidden = !list.cursor;
  showNone(query);
}

/** Show the conversations behind a figure: fields of the form where it has them, else chips that can be taken off. */
function narrow(params) {
  list.narrowed = new URLSearchParams(params);
  part.form.reset();
  for (const name of new Set(params.keys())) {
    const [field, values] = [part.form.elements[name], params.getAll(name)];
    if (!field || values.length > 1) continue;
    field.value = values[0];
    list.narrowed.delete(name);
  }
  showNarrowed();
  load();
}

function showNarrowed() {
  const told = [...new Set(list.narrowed.keys())].filter((name) => NARROWED[name])
    .map((name) => [name, `${NARROWED[name]}: ${list.narrowed.getAll(name).map(words).join(" or ")}`]);
  const [figure, line] = [list.narrowed.get("figure"), list.narrowed.get("line")];
  if (figure) told.push(["figure", `${FIGURES[figure]}${line ? `: ${title(line)}` : ""}, in the range of the figures`]);
  if (list.narrowed.has("since")) told.push(["since", "Began in the range of the figures"]);
  part.narrowed.hidden = told.length === 0;
  part.narrowed.replaceChildren(...told.map(([name, text]) => node("button",
    { type: "button", class: "ss-chip", "aria-label": `${text}, take it off`, onclick: () => widen(name) }, `${text} ✕`)));
}

function widen(name) {
  const whole = { since: ["since", "until"], figure: ["figure", "line", "counted_since", "counted_until"] };
  for (const each of whole[name] ?? [name]) list.narrowed.delete(each);
  showNarrowed();
  load();
}

function makeConversation(found) {
  const chips = [
    found.status === "waiting" ? chip("waiting", "amber") : null,
    found.status === "waiting" ? null : chip(found.status),
    found.outcome ? chip(found.outcome.replaceAll("_", " "), OUTCOME_COLORS[found.outcome]) : null,
    ...found.agents.slice(0, 3).map((agent) => chip(title(agent), "teal")),
  ];
  const button = node("button",
    { type: "button", class: "ss-card", "aria-pressed": String(found.thread_id === list.chosen),
      onclick: () => tell("replay_open", { threadId: found.thread_id }) },
    node("b", { class: "ss-opening" }, found.opening || found.thread_id),
    node("span", { class: "ss-whose" }, node("span", {}, found.customer_id ?? "Unknown customer"),
      node("time", { datetime: found.last_at, title: found.last_at }, ago(Date.parse(found.last_at), now()))),
    node("span", { class: "ss-chips" }, chips));
  button.dataset.thread = found.thread_id;
  return node("li", {}, button);
}

function showNone(query) {
  const nothing = part.conversations.children.length === 0;
  part.none.hidden = !nothing;
  if (!nothing) return;
  const filtered = [...query.keys()].some((name) => name !== "limit");
  part.none.replaceChildren(...(filtered
    ? [node("strong", {}, "Nothing fits"), "Try other words or fewer filters."]
    : [node("strong", {}, "Nothing recorded yet"), "Ask something in the Console tab."]));
}

function tellProblem(text) {
  part.problem.hidden = !text;
  part.problem.textContent = visible(text);
}

function choose(threadId) {
  list.chosen = threadId;
  for (const button of part.conversations.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.thread === threadId));
  }
}

register("replay_list", (root) => {
  const find = (name) => root.querySelector(name);
  Object.assign(part, {
    found: find(".ss-found"), form: find(".ss-find"), problem: find(".ss-found .ss-problem"),
    conversations: find(".ss-conversations"), none: find(".ss-none"), more: find(".ss-more"),
    narrowed: find(".ss-narrowed"),
  });
  const agents = Object.entries(window.ssConfig?.agents ?? {});
  part.form.elements.agent.append(...agents.map(([name, text]) => node("option", { value: name }, text)));
  let typing = null;
  part.form.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(load, TYPING_MS);
  });
  part.form.addEventListener("submit", (event) => { event.preventDefault(); load(); });
  part.more.addEventListener("click", () => load({ more: true }));
  find(".ss-up").addEventListener("click", () => {
    part.found.scrollIntoView({ block: "start" });
    (part.conversations.querySelector("[aria-pressed=true]") ?? part.form.elements.q).focus({ preventScroll: true });
  });
  load();
  onTab("Replay", load);
  on("replay_find", narrow);
  on("replay_opening", choose);
});
