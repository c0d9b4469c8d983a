// "What if": replays the conversation on a copy with another decision, and shows what would have changed.

import { argumentField, hiddenCharacters } from "../approvals/argument_fields.js";
import { closest, messageOf, node } from "../shell/dom.js";
import { on } from "../shell/events.js";
import { humanize } from "../shell/format.js";
import { request, requestPage } from "../shell/rest.js";
import { requestStep } from "./replay.js";

/** @type {Record<string, string>} */
const MARKS = { same: "Unchanged", then: "Before", now: "After" };
// Unchanged steps that are shown on either side of a change.
const CONTEXT = 4;
/** @type {Record<string, string>} */
const KINDS = { interrupt: "Approval requested", route: "Router", tool_result: "Result" };
let threadId = "";
let steps = 0;
on("replay_shown", (shown) => {
  threadId = shown.threadId;
  steps = shown.outline.steps;
});

/** @param {DiffStep} step */
function diffItem(step) {
  const text = step.content ?? step.summary ?? step.reason ?? step.message ?? (step.args ? JSON.stringify(step.args) : "");
  const subject = [step.tool ?? step.action, step.status ?? step.outcome].filter(Boolean).map(humanize).join(", ");
  const kind = step.type === "message" ? (step.role === "customer" ? "Customer" : "Agent") : KINDS[step.type] ?? humanize(step.type);
  return node("li", { class: `ss-diff ss-diff--${step.mark}` }, node("small", {}, MARKS[step.mark]),
    node("b", {}, subject ? `${kind}: ${subject}` : kind), node("span", {}, String(text)));
}

/** The difference, without what is unchanged and far from a change. @param {DiffStep[]} difference */
function diffItems(difference) {
  const changes = difference.flatMap((step, index) => (step.mark === "same" ? [] : [index]));
  /** @param {number} index */
  const isNear = (index) => changes.some((change) => Math.abs(index - change) <= CONTEXT);
  /** @type {HTMLElement[]} */
  const items = [];
  /** @type {DiffStep[]} */
  let skipped = [];
  const flush = () => {
    if (skipped.length > 2) items.push(node("li", { class: "ss-diff ss-diff--skipped" },
      `${skipped.length.toLocaleString("en")} unchanged steps`));
    else items.push(...skipped.map(diffItem));
    skipped = [];
  };
  difference.forEach((step, index) => {
    if (!isNear(index)) { skipped.push(step); return; }
    flush();
    items.push(diffItem(step));
  });
  flush();
  return items;
}

/** @param {DiffStep[]} difference @param {{first: number, last: number}} range */
function panel(difference, { first, last }) {
  const isChanged = difference.some((step) => step.mark !== "same");
  const isPart = last - first + 1 < steps;
  const note = isPart
    ? ` Only steps ${first.toLocaleString("en")} to ${last.toLocaleString("en")} of this long conversation were replayed.` : "";
  return node("div", { class: "ss-what-if-answer", role: "region", "aria-label": "What if" },
    node("p", { class: "ss-muted" }, (isChanged
      ? "Replayed on a copy of the current demo data. Nothing real was changed." : "Nothing would have changed.") + note),
    node("ol", {}, diffItems(difference)));
}

/** @param {HTMLButtonElement} button @param {object} body */
async function replay(button, body) {
  button.closest(".ss-card")?.querySelector(".ss-what-if-answer")?.remove();
  const status = node("p", { class: "ss-muted ss-what-if-answer", role: "status" }, "Replaying on a copy…");
  button.disabled = true;
  button.after(status);
  try {
    const { data, meta } = await requestPage("POST", `/replay/${encodeURIComponent(threadId)}/what-if`, body);
    status.replaceWith(panel(data, meta));
  } catch (error) {
    status.replaceWith(errorLine(messageOf(error)));
  } finally {
    button.disabled = false;
  }
}

/** @param {string} message */
const errorLine = (message) => node("p", { class: "ss-problem ss-what-if-answer", role: "alert" }, message);

/** @param {string} tool @returns {Promise<JsonSchema | undefined>} */
async function schemaOf(tool) {
  /** @type {{name: string, schema: JsonSchema}[]} */
  const tools = await request("GET", "/tools").catch(() => []);
  return tools.find(({ name }) => name === tool)?.schema;
}

/** Replaces the button by a form with the requested arguments. @param {HTMLButtonElement} button */
async function editArguments(button) {
  const approvalId = button.dataset.approval ?? "";
  const place = Number(/** @type {HTMLElement | null} */ (button.closest(".ss-step"))?.dataset.place);
  const step = await requestStep(approvalId, place).catch(() => null);
  const schema = await schemaOf(step?.action ?? "");
  const args = /** @type {Record<string, unknown>} */ (step?.args ?? {});
  const fields = Object.entries(args).map(([name, value]) =>
    argumentField(`ss-what-if-${place}-${name}`, name, value, schema?.properties?.[name] ?? {}));
  const form = node("form", { class: "ss-what-if-args", "aria-label": "Arguments to try" },
    fields.map(({ name, input }) => node("div", { class: "ss-field" }, node("label", { for: input.id }, name), input, hiddenCharacters(input))));
  const run = node("button", { class: "ss-button" }, "Run");
  form.append(run);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    form.querySelector(".ss-what-if-answer")?.remove();
    try {
      replay(run, { approval_id: approvalId, decision: "edit", args: Object.fromEntries(fields.map(({ name, read }) => [name, read()])) });
    } catch (error) {
      run.after(errorLine(messageOf(error)));
    }
  });
  button.replaceWith(form);
  (fields[0]?.input ?? run).focus();
}

document.addEventListener("click", (event) => {
  const button = closest(event, ".ss-what-if, .ss-what-if-edit");
  if (!(button instanceof HTMLButtonElement)) return;
  event.stopPropagation();
  if (button.matches(".ss-what-if-edit")) { editArguments(button); return; }
  const { approval, decision } = button.dataset;
  replay(button, { approval_id: approval, decision, reason: decision === "reject" ? "What if it had been rejected?" : null });
});
