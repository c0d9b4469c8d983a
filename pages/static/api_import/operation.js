// The details of one operation: why it was classified so, its arguments, what a reviewer may change, and a trial call.

import { effectList } from "../approvals/effect.js";
import { actionButton, chip, exact, messageOf, node } from "../shell/dom.js";

const MAX_RESULT_CHARS = 20_000;
const SAFE_METHODS = ["GET", "HEAD", "OPTIONS"];

/**
 * @param {OperationReview} review
 * @param {Operation} one
 */
export function operationDetails(review, one) {
  const isGone = one.change === "gone";
  return node("div", { class: "ss-api-details" },
    one.changes.length ? node("h4", {}, "Changed since the live import") : null,
    effectList(one.changes, "Changed since the live import"),
    node("ul", { class: "ss-api-reasons" }, one.reasons.map((reason) => node("li", {}, reason)),
      one.findings.map((finding) =>
        node("li", {}, chip(finding.severity, finding.severity === "error" ? "red" : ""), " ", finding.message))),
    review.isEditable && !isGone ? editForm(review, one) : node("p", { class: "ss-muted" }, one.description),
    isGone ? null : customerForm(review, one),
    one.schema ? folded(`Arguments (${Object.keys(one.schema.properties ?? {}).length})`, one.schema) : null,
    one.schema ? folded("Example call", { tool: one.tool_name, args: exampleArgs(one.schema) }) : null,
    one.access === "read" && !isGone ? trial(review, one) : null);
}

/** @param {string} label @param {object} value */
const folded = (label, value) =>
  node("details", {}, node("summary", {}, label), node("pre", {}, JSON.stringify(value, null, 1)));

/** @param {string} label @param {HTMLElement} input */
const labelled = (label, input) => node("label", {}, label, input);

/** @param {boolean} isChecked */
function checkbox(isChecked) {
  const input = node("input", { type: "checkbox" });
  input.checked = isChecked;
  return input;
}

/**
 * @param {OperationReview} review
 * @param {Operation} one
 */
function editForm(review, one) {
  const name = node("input", { value: one.tool_name, maxlength: "64" });
  const agent = node("input", { value: one.agent, maxlength: "64" });
  const description = node("textarea", { rows: "2", maxlength: "1000" });
  description.value = one.description;
  const isRead = checkbox(one.access === "read");
  const needsApproval = checkbox(one.needs_approval);
  const isIdempotent = checkbox(one.idempotent);
  const isConfirmed = checkbox(false);
  const isProposed = one.read_proposed || SAFE_METHODS.includes(one.method);
  const mayBeRead = isProposed || one.method === "POST";
  const needsConfirmation = !isProposed && one.access === "write";
  /** @param {Event} event */
  const save = async (event) => {
    event.preventDefault();
    await review.change([one], {
      tool_name: name.value.trim(), agent: agent.value.trim(), description: description.value.trim(),
      access: isRead.checked ? "read" : "write", idempotent: isIdempotent.checked,
      ...(one.access === "read" && isRead.checked ? { needs_approval: needsApproval.checked } : {}),
      ...(needsConfirmation && isConfirmed.checked ? { confirm: true } : {}),
    });
    review.refreshDetails(one);
  };
  return node("form", { class: "ss-form ss-api-edit", onsubmit: save },
    labelled("Tool name", name), labelled("Agent", agent), labelled("Description for the agents", description),
    mayBeRead ? labelled("Read-only (runs without approval)", isRead) : null,
    mayBeRead && needsConfirmation ? labelled("I checked that this call changes nothing (needed for read-only)", isConfirmed) : null,
    mayBeRead && one.access === "read" ? labelled("Require approval anyway", needsApproval) : null,
    one.access === "write" ? labelled("The API supports Idempotency-Key (safe to retry)", isIdempotent) : null,
    node("div", { class: "ss-actions" }, node("button", { class: "ss-button" }, "Save")));
}

/**
 * Whose data the operation is about: a reviewer confirms it, or chooses something else.
 * @param {OperationReview} review
 * @param {Operation} one
 */
function customerForm(review, one) {
  const { customer } = one;
  /** @type {[string, string, CustomerRule | null][]} */
  const choices = [["unknown", "Not known: refused for verified customers", { source: "unknown" }]];
  for (const name of Object.keys(one.schema?.properties ?? {})) {
    choices.push([`argument ${name}`, `The customer in argument ${name}`, { source: "argument", argument: name }]);
  }
  const rules = customer?.source === "lookup" ? [customer] : one.customer_lookups ?? [];
  for (const rule of rules) {
    choices.push([`lookup ${rule.operation}`, `The customer that ${rule.operation} returns in ${rule.result}`, rule]);
  }
  choices.push(["none", "Nobody's: about no customer", { source: "none" }]);
  const select = node("select", { disabled: !review.isSwitchable },
    choices.map(([value, label]) => node("option", { value }, label)));
  select.value = !customer ? "unknown"
    : customer.source === "argument" ? `argument ${customer.argument}`
      : customer.source === "lookup" ? `lookup ${customer.operation}` : customer.source;
  /** @param {Event} event */
  const save = async (event) => {
    event.preventDefault();
    const rule = choices.find(([value]) => value === select.value)?.[2];
    await review.change([one], { customer: rule });
    review.refreshDetails(one);
  };
  const isConfirmed = customer?.confirmed ?? false;
  return node("form", { class: "ss-form ss-api-edit ss-api-customer", onsubmit: save },
    labelled("Whose data it is", select),
    chip(isConfirmed ? "Confirmed" : customer ? "Proposed" : "Not known", isConfirmed ? "green" : "amber"),
    review.isSwitchable ? node("button", { class: "ss-button" }, isConfirmed ? "Save" : "Confirm") : null);
}

/**
 * @param {OperationReview} review
 * @param {Operation} one
 */
function trial(review, one) {
  const args = node("textarea", { rows: "3", spellcheck: "false", "aria-label": "Arguments as JSON" });
  args.value = JSON.stringify(exampleArgs(one.schema), null, 1);
  const result = node("pre", { hidden: true });
  const run = async () => {
    result.hidden = false;
    try {
      result.textContent = exact(JSON.stringify(await review.call(one, JSON.parse(args.value)), null, 1).slice(0, MAX_RESULT_CHARS));
    } catch (error) {
      result.textContent = messageOf(error);
    }
  };
  return node("details", { class: "ss-api-try" }, node("summary", {}, "Try it"), args,
    node("div", { class: "ss-actions" }, actionButton("Call it now", "", run)), result);
}

/** Each required argument with a value of its type. @param {JsonSchema | null} schema */
function exampleArgs(schema) {
  const required = schema?.required ?? [];
  return Object.fromEntries(Object.entries(schema?.properties ?? {}).filter(([name]) => required.includes(name))
    .map(([name, property]) => [name, exampleValue(property)]));
}

/** @param {JsonSchema} property */
function exampleValue(property) {
  if (property.enum) return property.enum[0];
  if (property.default !== undefined) return property.default;
  const type = Array.isArray(property.type) ? property.type[0] : property.type;
  /** @type {Record<string, unknown>} */
  const examples = { integer: 1, number: 1.5, boolean: true, array: [], object: {}, null: null };
  return type !== undefined && type in examples ? examples[type] : "text";
}
