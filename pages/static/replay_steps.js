// How one recorded step of a conversation looks. Which step is shown is replay.js's.

import { node, words } from "./text.js";

const STATUS = { ok: "green", error: "red", rejected: "red", expired: "amber", skipped: "amber" };
const OUTCOME = { approved: "green", edited: "green", rejected: "red", expired: "amber", responded: "green", withdrawn: "amber" };
const HEAD = new Set(["seq", "first_seq", "type", "at", "turn_id", "channel", "agent"]);

const title = (agent) => window.ssConfig?.agents?.[agent] ?? words(agent);
const chip = (text, color) => node("span", { class: `ss-chip${color ? ` ss-chip--${color}` : ""}` }, text);
const text = (said) => node("p", { class: "ss-said" }, said);
const code = (value) => node("pre", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2));
const isObject = (value) => value !== null && typeof value === "object";

const SHAPES = {
  message: (step) => [step.role === "customer" ? ["Customer"] : [title(step.agent)], [text(step.content)]],
  route: (step) => [["Router"], [
    node("p", {}, step.targets.length ? "To " : "To nobody: a question back",
      step.targets.map((target, place) => [place ? ", then " : "", node("b", {}, title(target.agent))])),
    node("p", { class: "ss-muted" }, step.reason)]],
  tool_call: (step) => [["Tool call", node("code", {}, step.tool)], [fields(step.args)]],
  tool_result: (step) => [["Result", node("code", {}, step.tool), chip(step.status, STATUS[step.status])],
    [result(step.content)], duration(step.duration_ms)],
  interrupt: (step) => [["Waits for approval", node("code", {}, step.action)], [text(step.summary), fields(step.args)]],
  decision: (step) => [["Decision", chip(step.outcome, OUTCOME[step.outcome])], [
    node("p", {}, step.outcome === "expired" ? "Nobody decided in time" : ["By ", node("b", {}, step.decided_by)]),
    step.reason ? text(step.reason) : null,
    step.args ? [node("p", { class: "ss-muted" }, "With these arguments instead:"), fields(step.args)] : null,
    whatIf(step)]],
  clarification: (step) => [["Question back"], [text(step.question),
    node("ul", {}, step.options.map((option) => node("li", {}, option)))]],
  escalation: (step) => [["Escalation", chip(step.delivered ? "delivered" : "not delivered", step.delivered ? "green" : "amber")],
    [text(step.reason)]],
  message_complete: (step) => [["Turn complete"], [node("p", { class: "ss-muted" },
    `${step.usage.input_tokens ?? 0} tokens in, ${step.usage.output_tokens ?? 0} out`,
    step.model ? ` · ${step.model}` : "")], duration(step.duration_ms)],
  error: (step) => [["Error", chip(step.code, "red")], [text(step.message)]],
};

function whatIf({ approval_id: id, outcome }) {
  const ran = outcome === "approved" || outcome === "edited";
  return node("div", { class: "ss-what-ifs" },
    node("button", { type: "button", class: "ss-button ss-what-if", "data-approval": id, "data-decision": ran ? "reject" : "approve" },
      ran ? "What if it had been rejected?" : "What if it had been approved?"),
    node("button", { type: "button", class: "ss-button ss-what-if-edited", "data-approval": id }, "What if with other arguments?"));
}

/** The list item of a step at a place; `start`: when the conversation began; `choose` is called when it is clicked. */
export function makeStep(step, { start, place, choose }) {
  const [heading, body, spent] = (SHAPES[step.type] ?? unknown)(step);
  const side = step.type === "message" && step.role === "customer" ? "customer" : step.type;
  const wrong = step.type === "error" || step.status === "error" ? " ss-step--wrong" : "";
  const element = node("li", { class: `ss-step ss-step--${side}${wrong}`, onclick: choose },
    node("div", { class: "ss-card" },
      node("header", {}, heading.map((item) => (typeof item === "string" ? node("b", {}, item) : item)),
        step.agent && step.type !== "message" ? node("span", { class: "ss-muted" }, title(step.agent)) : null,
        node("span", { class: "ss-when ss-muted" }, spent ? node("span", {}, `took ${spent}`) : null,
          node("time", { datetime: step.at, title: step.at }, since(step.at, start)))),
      body,
      details(step)));
  Object.assign(element.dataset, { type: step.type, place });
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
  try {
    const given = JSON.parse(content);
    return isObject(given) ? fields(given) : text(String(given));
  } catch { return text(content); }
}

/** Arguments and results: each name with what it holds. */
function fields(value) {
  if (!isObject(value) || Array.isArray(value)) return code(value);
  const all = Object.entries(value);
  if (!all.length) return node("p", { class: "ss-muted" }, "Nothing");
  return node("dl", { class: "ss-fields" }, all.map(([name, held]) =>
    [node("dt", {}, name), node("dd", {}, isObject(held) ? code(held) : String(held))]));
}

function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return "";
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** `+32 ms`, `+1.3 s`, `+2:05 min` since the conversation began; later than an hour when it was, in UTC. */
function since(at, start) {
  const seconds = (Date.parse(at) - start) / 1000;
  if (seconds < 1) return `+${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `+${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `+${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")} min`;
  const parts = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return `${new Date(at).toLocaleString("en-GB", { ...parts, timeZone: "UTC" })} UTC`;
}
