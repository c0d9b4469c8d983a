// What if a decision had been another: the conversation again on a copy, and what would have been different.

import { on } from "./shell.js";
import { asked } from "./rest.js";
import { node, words } from "./text.js";

const MARKS = { same: "as it was", then: "only then", now: "only now" };
const KINDS = { interrupt: "Waits for approval", route: "Router", tool_result: "Result" };
let [threadId, steps] = [null, []];
on("replay_shown", (shown) => { ({ threadId, steps } = shown); });

function told(step) {
  const said = step.content ?? step.summary ?? step.reason ?? step.message ?? (step.args ? JSON.stringify(step.args) : "");
  const what = [step.tool ?? step.action, step.status ?? step.outcome].filter(Boolean).map(words).join(", ");
  const kind = step.type === "message" ? (step.role === "customer" ? "Customer" : "Agent") : KINDS[step.type] ?? words(step.type);
  return node("li", { class: `ss-would ss-would--${step.mark}` }, node("small", {}, MARKS[step.mark]),
    node("b", {}, what ? `${kind}: ${what}` : kind), node("span", {}, String(said)));
}

function panel(difference) {
  const changed = difference.filter((step) => step.mark !== "same");
  return node("div", { class: "ss-what-if-answer", role: "region", "aria-label": "What if" },
    node("p", { class: "ss-muted" }, changed.length
      ? "Run again on a copy of the demo business as it is now; nothing real was touched."
      : "Nothing would have been different."),
    node("ol", {}, difference.map(told)));
}

async function tried(button, body) {
  const place = button.closest(".ss-card");
  button.disabled = true;
  place.querySelector(".ss-what-if-answer")?.remove();
  try {
    const difference = await asked("POST", `/replay/${encodeURIComponent(threadId)}/what-if`, body);
    button.after(panel(difference));
  } catch (error) {
    button.after(node("p", { class: "ss-problem ss-what-if-answer", role: "alert" }, error.message));
  } finally {
    button.disabled = false;
  }
}

/** A field with the arguments as they were asked for, to be changed and tried. */
function edited(button) {
  const approval_id = button.dataset.approval;
  const asked_ = steps.find((step) => step.type === "interrupt" && step.approval_id === approval_id);
  const field = node("textarea", { rows: 5, spellcheck: "false", "aria-label": "Arguments to try" });
  field.value = JSON.stringify(asked_?.args ?? {}, null, 2);
  const go = node("button", { type: "button", class: "ss-button" }, "Try it");
  const form = node("div", { class: "ss-what-if-args" }, field, go);
  go.addEventListener("click", () => {
    form.querySelector(".ss-what-if-answer")?.remove();
    try {
      tried(go, { approval_id, decision: "edit", args: JSON.parse(field.value) });
    } catch (error) {
      go.after(node("p", { class: "ss-problem ss-what-if-answer", role: "alert" }, `This is not JSON: ${error.message}`));
    }
  });
  button.replaceWith(form);
  field.focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.(".ss-what-if, .ss-what-if-edited");
  if (!button) return;
  event.stopPropagation();
  if (button.matches(".ss-what-if-edited")) { edited(button); return; }
  const { approval: approval_id, decision } = button.dataset;
  tried(button, { approval_id, decision, reason: decision === "reject" ? "What if it had been rejected?" : null });
});
