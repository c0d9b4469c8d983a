// How one recorded step of a conversation looks. Which step is shown is replay.js's.

import { node, words } from "./text.js";

const STATUS = { ok: "green", error: "red", rejected: "red", expired: "amber", skipped: "amber" };
const OUTCOME = { approved: "green", edited: "green", rejected: "red", expired: "amber" };
const HEAD = new Set(["seq", "first_seq", "type", "at", "turn_id", "channel", "agent"]);

const title = (agent) => window.ssConfig?.agents?.[agent] ?? words(agent);
const chip = (text, color) => node("span", { class: `ss-chip${color ? ` ss-chip--${color}` : ""}` }, text);
const text = (said) => node("p", { class: "ss-said" }, said);
const code = (value) => node("pre", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2));

const SHAPES = {
  message: (step) => [step.role === "customer" ? ["Customer"] : [title(step.agent)], [text(step.content)]],
  route: (step) => [["Router"], [
    node("p", {}, step.targets.length ? "To " : "To nobody: a question back",
      step.targets.map((target, place) => [place ? ", then " : "", node("b", {}, title(target.agent))])),
    node("p", { class: "ss-muted" }, step.reason)]],
  tool_call: (step) => [["Tool call", node("code", {}, step.tool)], [code(step.args)]],
  tool_result: (step) => [["Result", node("code", {}, step.tool), chip(step.status, STATUS[step.status])],
    [result(step.content)], duration(step.duration_ms)],
  interrupt: (step) => [["Waits for approval", node("code", {}, step.action)], [text(step.summary), code(step.args)]],
  decision: (step) => [["Decision", chip(step.outcome, OUTCOME[step.outcome])], [
    node("p", {}, `By ${step.decided_by}`), step.reason ? text(step.reason) : null, step.args ? code(step.args) : null,
    node("button", { type: "button", class: "ss-button ss-what-if", "data-approval": step.approval_id,
      "data-decision": step.outcome === "approved" || step.outcome === "edited" ? "reject" : "approve" },
    step.outcome === "approved" || step.outcome === "edited" ? "What if it had been rejected?" : "What if it had been approved?"), " ",
    node("button", { type: "button", class: "ss-button ss-what-if-edited", "data-approval": step.approval_id },
      "What if with other arguments?")]],
  clarification: (step) => [["Question back"], [text(step.question),
    node("ul", {}, step.options.map((option) => node("li", {}, option)))]],
  escalation: (step) => [["Escalation", chip(step.delivered ? "delivered" : "not delivered", step.delivered ? "green" : "amber")],
    [text(step.reason)]],
  message_complete: (step) => [["Turn complete"], [node("p", { class: "ss-muted" },
    `${step.usage.input_tokens ?? 0} tokens in, ${step.usage.output_tokens ?? 0} out`,
    step.model ? ` · ${step.model}` : "")], duration(step.duration_ms)],
  error: (step) => [["Error", chip(step.code, "red")], [text(step.message)]],
};

/** The list item of a step; `choose` is called when it is clicked. */
export function makeStep(step, start, choose) {
  const [heading, body, spent] = (SHAPES[step.type] ?? unknown)(step);
  const side = step.type === "message" && step.role === "customer" ? "customer" : step.type;
  const element = node("li", { class: `ss-step ss-step--${side}`, onclick: choose },
    node("div", { class: "ss-card" },
      node("header", {}, heading.map((item) => (typeof item === "string" ? node("b", {}, item) : item)),
        step.agent && step.type !== "message" ? node("span", { class: "ss-muted" }, title(step.agent)) : null,
        node("span", { class: "ss-gap" }), spent ? node("span", { class: "ss-muted" }, spent) : null,
        node("time", { class: "ss-muted", datetime: step.at, title: step.at }, since(Date.parse(step.at) - start))),
      body,
      details(step)));
  element.dataset.type = step.type;
  return element;
}

/** The step as it was recorded, written out when it is asked for: a long conversation has ten thousand. */
function details(step) {
  const element = node("details", {}, node("summary", {}, "Details"));
  element.addEventListener("toggle", () => element.append(code(step)), { once: true });
  return element;
}

function unknown(step) {
  return [[words(step.type)], [code(Object.fromEntries(Object.entries(step).filter(([name]) => !HEAD.has(name))))]];
}

/** What a tool gave back: its object, or the sentence it said. */
function result(content) {
  try { return code(JSON.parse(content)); } catch { return text(content); }
}

function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return "";
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** `+32 ms`, `+1.3 s`, `+2:05 min`, `+3 h`: the time since the conversation began. */
function since(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 1) return `+${Math.round(milliseconds)} ms`;
  if (seconds < 60) return `+${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `+${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")} min`;
  return `+${(seconds / 3600).toFixed(1)} h`;
}
