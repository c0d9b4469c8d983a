// What if a decision had been another: the conversation again on a copy, and what would have been different.

import { on } from "./shell.js";
import { answered } from "./rest.js";
import { node, words } from "./text.js";
import { requestOf } from "./replay.js";

const MARKS = { same: "the same", then: "as it was", now: "instead" };
const AROUND = 4; // steps told on either side of a change
const KINDS = { interrupt: "Waits for approval", route: "Router", tool_result: "Result" };
let [threadId, outline] = [null, null];
on("replay_shown", (shown) => { ({ threadId, outline } = shown); });

function told(step) {
  const said = step.content ?? step.summary ?? step.reason ?? step.message ?? (step.args ? JSON.stringify(step.args) : "");
  const what = [step.tool ?? step.action, step.status ?? step.outcome].filter(Boolean).map(words).join(", ");
  const kind = step.type === "message" ? (step.role === "customer" ? "Customer" : "Agent") : KINDS[step.type] ?? words(step.type);
  return node("li", { class: `ss-would ss-would--${step.mark}` }, node("small", {}, MARKS[step.mark]),
    node("b", {}, what ? `${kind}: ${what}` : kind), node("span", {}, String(said)));
}

/** The steps with what did not change left out, but for what is around a change. */
function folded(difference) {
  const changes = difference.flatMap((step, at) => (step.mark === "same" ? [] : [at]));
  const near = (at) => changes.some((change) => at >= change - AROUND && at <= change + AROUND);
  const [lines, left] = [[], []];
  const tellLeft = () => {
    if (left.length > 2) lines.push(node("li", { class: "ss-would ss-would--left" }, `${left.length.toLocaleString("en")} steps the same`));
    else lines.push(...left.map(told));
    left.length = 0;
  };
  difference.forEach((step, at) => {
    if (!near(at)) { left.push(step); return; }
    tellLeft();
    lines.push(told(step));
  });
  tellLeft();
  return lines;
}

function panel(difference, { first, last }) {
  const changed = difference.some((step) => step.mark !== "same");
  const part = last - first + 1 < outline.steps
    ? ` The conversation is long: only steps ${first.toLocaleString("en")} to ${last.toLocaleString("en")} were run again.` : "";
  return node("div", { class: "ss-what-if-answer", role: "region", "aria-label": "What if" },
    node("p", { class: "ss-muted" }, (changed
      ? "Run again on a copy of the demo business as it is now; nothing real was touched."
      : "Nothing would have been different.") + part),
    node("ol", {}, folded(difference)));
}

async function tried(button, body) {
  const place = button.closest(".ss-card");
  place.querySelector(".ss-what-if-answer")?.remove();
  const running = node("p", { class: "ss-muted ss-what-if-answer", role: "status" }, "Running it again on a copy…");
  button.disabled = true;
  button.after(running);
  try {
    const { data, meta } = await answered("POST", `/replay/${encodeURIComponent(threadId)}/what-if`, body);
    running.replaceWith(panel(data, meta));
  } catch (error) {
    running.replaceWith(node("p", { class: "ss-problem ss-what-if-answer", role: "alert" }, error.message));
  } finally {
    button.disabled = false;
  }
}

/** A field with the arguments as they were asked for, to be changed and tried. */
async function edited(button) {
  const approval_id = button.dataset.approval;
  const request = await requestOf(approval_id, Number(button.closest(".ss-step").dataset.place)).catch(() => null);
  const field = node("textarea", { rows: 5, spellcheck: "false", "aria-label": "Arguments to try" });
  field.value = JSON.stringify(request?.args ?? {}, null, 2);
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
