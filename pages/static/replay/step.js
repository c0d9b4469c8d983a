// How one recorded step of a conversation looks.

import { actionButton, chip, exact, node, prose, value } from "../shell/dom.js";
import { quotationOf } from "../approvals/caller.js";
import { agentTitle, humanize } from "../shell/format.js";

/** @type {Record<string, string>} */
const STATUS = { ok: "green", error: "red", rejected: "red", expired: "amber", skipped: "amber" };
/** @type {Record<string, string>} */
const OUTCOME = { approved: "green", edited: "green", rejected: "red", expired: "amber", responded: "green", withdrawn: "amber" };
const HEADER_FIELDS = new Set(["seq", "first_seq", "type", "at", "turn_id", "channel", "agent"]);

/** @param {string} said */
const text = (said) => node("p", { class: "ss-said" }, prose(said));
/** @param {unknown} given */
const code = (given) => node("pre", {}, exact(typeof given === "string" ? given : JSON.stringify(given, null, 2)));
/** @param {unknown} value @returns {value is object} */
const isObject = (value) => value !== null && typeof value === "object";
/** @param {string} status */
const statusLabel = (status) => (status === "ok" ? "OK" : humanize(status));

/** @typedef {{title: Child[], body: Child[], duration?: string}} StepParts */
/** @type {Record<string, (step: Step) => StepParts>} */
const SHAPES = {
  message: (step) => ({
    title: [speakerOf(step)],
    body: [reasoning(step), text(step.content)],
  }),
  route: (step) => ({ title: ["Router"], body: [
    node("p", {}, step.targets.length ? "To " : "Asked for clarification",
      step.targets.map((/** @type {{agent: string}} */ target, /** @type {number} */ index) =>
        [index ? ", then " : "", node("b", {}, agentTitle(target.agent))])),
    node("p", { class: "ss-muted" }, step.reason)] }),
  tool_call: (step) => ({ title: ["Tool call", node("code", {}, step.tool)], body: [quotationOf(step.caller), reasoning(step), fields(step.args)] }),
  tool_result: (step) => ({
    title: ["Result", node("code", {}, step.tool), chip(statusLabel(step.status), STATUS[step.status])],
    body: [result(step.content)], duration: formatDuration(step.duration_ms),
  }),
  interrupt: (step) => ({
    title: ["Approval requested", node("code", {}, step.action)], body: [node("p", { class: "ss-said" }, step.summary), fields(step.args)],
  }),
  decision: (step) => ({ title: ["Decision", chip(humanize(step.outcome), OUTCOME[step.outcome])], body: [
    node("p", {}, step.outcome === "expired" ? "Expired without a decision" : ["By ", node("b", {}, value(step.decided_by))]),
    step.reason ? text(step.reason) : null,
    step.args ? [node("p", { class: "ss-muted" }, "With edited arguments:"), fields(step.args)] : null,
    whatIfButtons(step)] }),
  clarification: (step) => ({ title: ["Clarification"], body: [text(step.question),
    node("ul", {}, step.options.map((/** @type {string} */ option) => node("li", {}, option)))] }),
  escalation: (step) => ({
    title: ["Escalation", chip(step.delivered ? "Delivered" : "Not delivered", step.delivered ? "green" : "amber")],
    body: [text(step.reason)],
  }),
  takeover: (step) => ({
    title: [step.state === "taken" ? "Taken over" : "Handed back to the agents"],
    body: [node("p", {}, "By ", node("b", {}, value(step.by))), step.note ? text(step.note) : null],
  }),
  message_complete: (step) => ({ title: ["Turn complete", incompleteChip(step.incomplete)], body: [node("p", { class: "ss-muted" },
    `${step.usage.input_tokens ?? 0} tokens in, ${step.usage.output_tokens ?? 0} out`,
    step.model ? ` · ${step.model}` : "")], duration: formatDuration(step.duration_ms) }),
  error: (step) => ({ title: ["Error", chip(step.code, "red"), step.reason ? chip(humanize(step.reason), "") : null], body: [text(step.message)] }),
};

/** @type {Record<string, string>} */
const INCOMPLETE = { length: "Answer cut off", content_filter: "Answer filtered", refusal: "Model refused" };
/** @param {string | null | undefined} why */
const incompleteChip = (why) => (why ? chip(INCOMPLETE[why] ?? humanize(why), "amber") : null);

/** Who says a message. @param {Step} step */
function speakerOf(step) {
  if (step.role === "colleague") return `${value(step.by)}, colleague`;
  return step.role === "customer" ? "Customer" : agentTitle(step.agent ?? "");
}

/** What the model thought before this step, folded: no customer saw it. @param {Step} step */
function reasoning(step) {
  return step.reasoning
    ? node("details", {}, node("summary", {}, "Reasoning of the model"), text(step.reasoning)) : null;
}

/** @param {Step} step */
function whatIfButtons({ approval_id: approvalId, outcome }) {
  const hasRun = outcome === "approved" || outcome === "edited";
  const other = actionButton(hasRun ? "What if it had been rejected?" : "What if it had been approved?", "", () => {});
  other.classList.add("ss-what-if");
  Object.assign(other.dataset, { approval: approvalId, decision: hasRun ? "reject" : "approve" });
  const edit = actionButton("What if the arguments were different?", "", () => {});
  edit.classList.add("ss-what-if-edit");
  edit.dataset.approval = approvalId;
  return node("div", { class: "ss-what-ifs" }, other, edit);
}

/**
 * The list item of a step.
 * @param {Step} step
 * @param {{start: number, place: number, choose: () => void}} options start: when the conversation began, in milliseconds
 */
export function makeStep(step, { start, place, choose }) {
  const { title, body, duration } = (SHAPES[step.type] ?? unknownStep)(step);
  const kind = step.type === "message" && step.role === "customer" ? "customer" : step.type;
  const failed = step.type === "error" || step.status === "error" ? " ss-step--wrong" : "";
  const element = node("li", { class: `ss-step ss-step--${kind}${failed}`, onclick: choose },
    node("div", { class: "ss-card" },
      node("header", {}, title.map((item) => (typeof item === "string" ? node("b", {}, item) : item)),
        step.agent && step.type !== "message" ? node("span", { class: "ss-muted" }, agentTitle(step.agent)) : null,
        node("span", { class: "ss-when ss-muted" }, duration ? node("span", {}, `took ${duration}`) : null,
          node("time", { datetime: step.at, title: step.at }, formatOffset(step.at, start)))),
      body,
      details(step)));
  Object.assign(element.dataset, { type: step.type, place: String(place) });
  return element;
}

/** The step as recorded, written out only when opened: a long conversation has ten thousand. @param {Step} step */
function details(step) {
  const element = node("details", {}, node("summary", {}, "Details"));
  element.addEventListener("toggle", () => element.append(code(step)), { once: true });
  return element;
}

/** @param {Step} step @returns {StepParts} */
function unknownStep(step) {
  const rest = Object.fromEntries(Object.entries(step).filter(([name]) => !HEADER_FIELDS.has(name)));
  return { title: [humanize(step.type)], body: [code(rest)] };
}

/** A tool's result: its object, or its text. @param {string} content */
function result(content) {
  try {
    const value = JSON.parse(content);
    return isObject(value) ? fields(value) : text(String(value));
  } catch { return text(content); }
}

/** Arguments or a result, each name with its value. @param {unknown} value */
function fields(value) {
  if (!isObject(value) || Array.isArray(value)) return code(value);
  const entries = Object.entries(value);
  if (!entries.length) return node("p", { class: "ss-muted" }, "None");
  return node("dl", { class: "ss-fields" }, entries.map(([name, part]) =>
    [node("dt", {}, name), node("dd", {}, isObject(part) ? code(part) : exact(part))]));
}

/** @param {number | null | undefined} milliseconds */
function formatDuration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return "";
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/**
 * Time since the conversation began: `+32 ms`, `+1.3 s`, `+2:05 min`; after an hour the time in UTC.
 * @param {string} at
 * @param {number} start
 */
function formatOffset(at, start) {
  const seconds = (Date.parse(at) - start) / 1000;
  if (seconds < 1) return `+${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `+${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `+${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")} min`;
  const time = new Date(at).toLocaleString("en-GB",
    { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "UTC" });
  return `${time} UTC`;
}
