// One operation, opened: why it was judged as it was, what it takes, what a reviewer may change, and trying it.

import { node } from "./text.js";
import { asked, chip } from "./api_import.js";
import { change, drawRow } from "./api_review.js";

/** The details of an operation, as a node that stays while the list is drawn anew. */
export function showOperation(review, one) {
  return node("div", { class: "ss-api-details" },
    node("ul", { class: "ss-api-reasons" }, one.reasons.map((reason) => node("li", {}, reason)),
      one.findings.map((found) => node("li", {}, chip(found.severity, found.severity === "error" ? "red" : ""), " ", found.message))),
    review.open && one.change !== "gone" ? makeEdit(review, one) : node("p", { class: "ss-muted" }, one.description),
    one.schema ? node("details", {}, node("summary", {}, `Arguments (${Object.keys(one.schema.properties ?? {}).length})`),
      node("pre", {}, JSON.stringify(one.schema, null, 1))) : null,
    one.schema ? node("details", {}, node("summary", {}, "Example call"),
      node("pre", {}, JSON.stringify({ tool: one.tool_name, args: example(one.schema) }, null, 1))) : null,
    one.access === "read" && one.change !== "gone" ? makeTrial(review, one) : null);
}

function makeEdit(review, one) {
  const name = node("input", { value: one.tool_name, maxlength: "63" });
  const agent = node("input", { value: one.agent, maxlength: "63" });
  const told = node("textarea", { rows: "2", maxlength: "1000" });
  told.value = one.description;
  const read = node("input", { type: "checkbox" });
  read.checked = one.access === "read";
  const asks = node("input", { type: "checkbox" });
  asks.checked = one.needs_approval;
  const keeps = node("input", { type: "checkbox" });
  keeps.checked = one.idempotent;
  const field = (label, input) => node("label", {}, label, input);
  const mayRead = one.read_proposed || ["GET", "HEAD", "OPTIONS"].includes(one.method);
  const save = async () => {
    const wanted = { tool_name: name.value.trim(), agent: agent.value.trim(), description: told.value.trim(),
      access: read.checked ? "read" : "write", idempotent: keeps.checked };
    if (one.access === "read" && read.checked) wanted.needs_approval = asks.checked;
    await change(review, [one], wanted);
    one.details = showOperation(review, one);
    drawRow(review, one);
  };
  return node("form", { class: "ss-form ss-api-edit", onsubmit: (event) => { event.preventDefault(); save(); } },
    field("Tool name", name), field("Agent", agent), field("What the agents are told", told),
    mayRead ? field("It only reads (no approval needed)", read) : null,
    mayRead && one.access === "read" ? field("Ask a colleague all the same", asks) : null,
    one.access === "write" ? field("The API honours Idempotency-Key (a retry is safe)", keeps) : null,
    node("div", { class: "ss-actions" }, node("button", { class: "ss-button" }, "Save")));
}

function makeTrial(review, one) {
  const args = node("textarea", { rows: "3", spellcheck: "false", "aria-label": "Arguments as JSON" });
  args.value = JSON.stringify(example(one.schema), null, 1);
  const result = node("pre", { hidden: true });
  const run = async () => {
    result.hidden = false;
    try {
      const given = JSON.parse(args.value);
      const said = await asked("POST", `/jobs/${review.job.job_id}/try/${encodeURIComponent(one.key)}`, { args: given });
      result.textContent = JSON.stringify(said.result, null, 1).slice(0, 20_000);
    } catch (error) {
      result.textContent = error.message;
    }
  };
  return node("details", { class: "ss-api-try" }, node("summary", {}, "Try it"), args,
    node("div", { class: "ss-actions" }, node("button", { type: "button", class: "ss-button", onclick: run }, "Call it now")), result);
}

/** Arguments that show the shape: what is required, by its type or its first allowed value. */
function example(schema) {
  const required = schema.required ?? [];
  return Object.fromEntries(Object.entries(schema.properties ?? {}).filter(([name]) => required.includes(name))
    .map(([name, part]) => [name, value(part)]));
}

function value(part) {
  if (part.enum) return part.enum[0];
  if (part.default !== undefined) return part.default;
  const type = Array.isArray(part.type) ? part.type[0] : part.type;
  return { integer: 1, number: 1.5, boolean: true, array: [], object: {}, null: null }[type] ?? "text";
}
