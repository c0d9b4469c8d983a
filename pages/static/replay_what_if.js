// What if a decision had been another: the conversation again on a copy, and what would have been different.

import { on } from "./shell.js";
import { asked } from "./rest.js";
import { node, words } from "./text.js";

const MARKS = { same: "as it was", then: "only then", now: "only now" };
const KINDS = { interrupt: "Waits for approval", route: "Router", tool_result: "Result" };
let threadId = null;
on("replay_shown", (shown) => { threadId = shown.threadId; });

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

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.(".ss-what-if");
  if (!button) return;
  event.stopPropagation();
  button.disabled = true;
  button.parentElement.querySelector(".ss-what-if-answer")?.remove();
  try {
    const { approval: approval_id, decision } = button.dataset;
    const body = { approval_id, decision, reason: decision === "reject" ? "What if it had been rejected?" : null };
    button.after(panel(await asked("POST", `/replay/${encodeURIComponent(threadId)}/what-if`, body)));
  } catch (error) {
    button.after(node("p", { class: "ss-problem ss-what-if-answer", role: "alert" }, error.message));
  } finally {
    button.disabled = false;
  }
});
