// The Replay tab: conversations at the left, the steps of the chosen one at the right. How one step looks is
// in replay_steps.js.

import { effectLines } from "./effect.js";
import { now, on, onTab, register, tell } from "./shell.js";
import { ago, node, visible, words } from "./text.js";
import { makeStep } from "./replay_steps.js";

const API = "/api/v1";
const TYPING_MS = 250;
const OUTCOME_COLORS = { resolved: "green", resolved_with_approval: "green", escalated: "red", abandoned: "amber" };
const part = {};
const list = { cursor: null, asked: 0, narrowed: new URLSearchParams() };
const NARROWED = { outcome: "Outcome", tool: "Tool", approval: "Approval", decided_by: "Decided by",
  error_class: "Failed", escalation: "A person was called", channel: "Door" };
const shown = { threadId: null, steps: [], elements: [], place: 0, kept: 0, more: false, opening: 0 };

const title = (agent) => window.ssConfig?.agents?.[agent] ?? words(agent);
const chip = (text, color) => node("span", { class: `ss-chip${color ? ` ss-chip--${color}` : ""}` }, text);

async function fetched(path) {
  const answer = await fetch(API + path, { headers: { Accept: "application/json" } });
  const body = await answer.json();
  if (!body.success) throw new Error(body.error.message);
  return body;
}

// The list

async function load({ more = false } = {}) {
  const asked = ++list.asked;
  const query = new URLSearchParams({ limit: "25" });
  for (const [name, value] of new FormData(part.form)) if (String(value).trim()) query.set(name, String(value).trim());
  for (const [name, value] of list.narrowed) query.append(name, value);
  if (more && list.cursor) query.set("cursor", list.cursor);
  try {
    const body = await fetched(`/conversations?${query}`);
    // Somebody typed on meanwhile: this answer is to a question that stands no more.
    if (asked !== list.asked) return;
    tellProblem("");
    list.cursor = body.meta.next_cursor;
    if (!more) part.conversations.replaceChildren();
    part.conversations.append(...body.data.map(makeConversation));
    part.more.hidden = !list.cursor;
    showNone(query);
  } catch (error) {
    if (asked === list.asked) tellProblem(`The conversations could not be read: ${error.message}`);
  }
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
  if (list.narrowed.has("since")) told.push(["since", "Began in the range of the figures"]);
  part.narrowed.hidden = told.length === 0;
  part.narrowed.replaceChildren(...told.map(([name, text]) => node("button",
    { type: "button", class: "ss-chip", "aria-label": `${text}, take it off`, onclick: () => widen(name) }, `${text} ✕`)));
}

function widen(name) {
  list.narrowed.delete(name);
  if (name === "since") list.narrowed.delete("until");
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
    { type: "button", class: "ss-card", "aria-pressed": String(found.thread_id === shown.threadId),
      onclick: () => open(found.thread_id) },
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

/** What the tab does each time it is opened. */
function refresh() {
  load();
  if (shown.threadId) open(shown.threadId, { again: true });
}

// The steps

async function open(threadId, { again = false } = {}) {
  shown.threadId = threadId;
  for (const button of part.conversations.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.thread === threadId));
  }
  const opening = ++shown.opening;
  try {
    for (let after = 0; after !== null;) {
      const body = await fetched(`/replay/${encodeURIComponent(threadId)}?after=${after}&limit=200`);
      // Another conversation was chosen meanwhile.
      if (shown.opening !== opening) return;
      const first = after === 0;
      after = body.meta.next_cursor;
      shown.more = after !== null;
      if (first) show(body.data, { again });
      else extend(body.data, { again });
    }
    tellProblem("");
  } catch (error) {
    if (shown.opening === opening) tellProblem(`This conversation could not be read: ${error.message}`);
  }
}

/** The first steps of a conversation; there are more where it is long, and those follow. */
function show(steps, { again }) {
  shown.kept = again ? shown.place : 0;
  Object.assign(shown, { steps: [], elements: [], place: 0 });
  part.timeline.replaceChildren();
  if (!again) part.timeline.classList.add("ss-whole");
  part.choose.hidden = true;
  part.stepper.hidden = false;
  tell("replay_shown", { threadId: shown.threadId, steps: shown.steps });
  extend(steps, { again });
  // Looked at again: whoever opens the tab keeps the place and the focus they had.
  if (again) return;
  if (matchMedia("(max-width: 860px)").matches) part.steps.scrollIntoView({ block: "start" });
  part.steps.focus({ preventScroll: true });
}

function extend(steps, { again }) {
  const start = Date.parse((shown.steps[0] ?? steps[0])?.at ?? "");
  const from = shown.steps.length;
  shown.steps.push(...steps);
  const made = steps.map((step, index) => makeStep(step, start, () => goTo(from + index, { scroll: false })));
  shown.elements.push(...made);
  made.forEach((element, index) => element.classList.toggle("ss-later", from + index > shown.place));
  part.timeline.append(...made);
  part.slider.max = String(shown.steps.length);
  part.thread.replaceChildren(...about(shown.threadId, shown.steps));
  showEffects(shown.threadId, from);
  goTo(again && shown.kept >= from ? shown.kept : shown.place, { scroll: false });
}

/** What the conversation was, in a line: which, when, through which door, what it took, what failed. */
function about(threadId, steps) {
  const ends = steps.filter((step) => step.usage);
  const sum = (name) => ends.reduce((all, step) => all + (step.usage[name] ?? 0), 0);
  const failed = steps.filter((step) => step.type === "error" || step.status === "error").length;
  const doors = [...new Set(steps.map((step) => step.channel).filter(Boolean))];
  const [cost, said] = [sum("cost_usd"), steps.filter((step) => step.role === "customer").length];
  return [node("b", {}, `Thread ${threadId}`), node("span", {}, [
    ` · ${new Date(steps[0].at).toISOString().slice(0, 16).replace("T", " ")} UTC`,
    doors.length ? ` · through ${doors.join(", ")}` : "",
    ` · ${said} ${said === 1 ? "message" : "messages"}`,
    ` · ${sum("input_tokens").toLocaleString("en")} tokens in, ${sum("output_tokens").toLocaleString("en")} out`,
    cost ? ` · $${cost.toFixed(4)}` : "",
    failed ? ` · ${failed} failed` : "",
  ].join(""))];
}

/** Cards say what would change; the record of the conversation does not, that of the approval does. */
async function showEffects(threadId, from) {
  for (const [index, step] of shown.steps.slice(from).entries()) {
    if (step.type !== "interrupt") continue;
    const element = shown.elements[from + index];
    const approval = await fetched(`/approvals/${encodeURIComponent(step.approval_id)}`).catch(() => null);
    if (shown.threadId !== threadId) return;
    const lines = effectLines(approval?.data.effect, "What it said would change");
    if (lines) element.querySelector(".ss-said").after(lines);
  }
}

function goTo(place, { scroll = true } = {}) {
  if (shown.steps.length === 0) return;
  tell("replay_at", place);
  const before = shown.place;
  shown.place = Math.max(0, Math.min(shown.steps.length - 1, place));
  // Until somebody steps through it, all of it can be read.
  if (shown.place !== before) part.timeline.classList.remove("ss-whole");
  const [low, high] = [Math.min(before, shown.place), Math.max(before, shown.place)];
  for (let index = low; index <= high; index += 1) {
    const element = shown.elements[index];
    element.classList.toggle("ss-now", index === shown.place);
    element.classList.toggle("ss-later", index > shown.place);
    if (index === shown.place) element.setAttribute("aria-current", "step");
    else element.removeAttribute("aria-current");
  }
  part.slider.value = String(shown.place + 1);
  part.place.textContent = `Step ${shown.place + 1} of ${shown.steps.length}${shown.more ? "+" : ""}`;
  for (const button of part.stepper.querySelectorAll("button")) {
    const back = button.dataset.to === "first" || button.dataset.to === "back";
    const end = back ? 0 : shown.steps.length - 1;
    // Not `disabled`: that would take the focus away, and the arrow keys with it.
    button.setAttribute("aria-disabled", String(shown.place === end));
  }
  if (scroll) shown.elements[shown.place].scrollIntoView({ block: "nearest" });
}

const MOVES = {
  first: () => goTo(0), back: () => goTo(shown.place - 1),
  on: () => goTo(shown.place + 1), last: () => goTo(shown.steps.length - 1),
};
const KEYS = { ArrowLeft: "back", ArrowUp: "back", ArrowRight: "on", ArrowDown: "on", Home: "first", End: "last" };

function onKey(event) {
  const free = !event.target.closest("input, select, textarea, summary, pre");
  if (!free || event.altKey || event.ctrlKey || event.metaKey || !KEYS[event.key]) return;
  event.preventDefault();
  MOVES[KEYS[event.key]]();
}

register("replay", (root) => {
  const find = (name) => root.querySelector(name);
  Object.assign(part, {
    form: find(".ss-find"), problem: find(".ss-problem"), conversations: find(".ss-conversations"),
    none: find(".ss-none"), more: find(".ss-more"), steps: find(".ss-steps"), stepper: find(".ss-stepper"),
    slider: find(".ss-stepper input"), place: find(".ss-place"), thread: find(".ss-thread"),
    timeline: find(".ss-timeline"), choose: find(".ss-choose"), narrowed: find(".ss-narrowed"),
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
  part.slider.addEventListener("input", () => goTo(Number(part.slider.value) - 1));
  part.stepper.addEventListener("click", (event) => MOVES[event.target.closest("button")?.dataset.to]?.());
  part.steps.addEventListener("keydown", onKey);
  load();
  onTab("Replay", refresh);
  on("replay_find", narrow);
  on("replay_open", (threadId) => open(threadId));
  on("replay_go", (place) => goTo(place));
});
