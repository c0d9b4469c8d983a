// An approval's history from the audit trail, and a form for notes.

import { messageOf, node, showError, value } from "../shell/dom.js";
import { draftOf, dropDraft, keepDraft } from "../shell/drafts.js";
import { agentTitle, humanize, plural, timeOfDay } from "../shell/format.js";
import { request } from "../shell/rest.js";
import { quotationOf } from "./caller.js";
import { effectList } from "./effect.js";

/** @type {Record<string, string>} */
const CHANNELS = { console: "the console", rest: "the API", socket: "WebSocket", gradio: "the Gradio API", policy: "policy" };
/** @type {Record<string, string>} */
const RESULTS = {
  done: "Completed.", failed: "Failed. Nothing was changed.", outcome_unknown: "Outcome unknown. Check manually.",
};

/** @param {Approval} approval */
const label = (approval) => (approval.notes ? `History · ${plural(approval.notes, "note")}` : "History");

/**
 * A disclosure with the history and a note field. `details` gives what is shown above the history.
 * @param {Approval} approval
 * @param {() => Child[]} details
 * @returns {ApprovalHistory}
 */
export function makeHistory(approval, details = () => []) {
  const list = node("ol", { class: "ss-history" });
  const text = node("input", { type: "text", maxlength: "2000", "aria-label": "Note", placeholder: "Add a note for your team",
    oninput: () => { if (text.value) keepDraft(draftKey, { text: text.value }); else dropDraft(draftKey); } });
  const draftKey = `note:${approval.approval_id}`;
  text.value = draftOf(draftKey)?.text ?? "";
  const problem = node("p", { class: "ss-problem", role: "alert", hidden: true });
  const path = `/approvals/${encodeURIComponent(approval.approval_id)}`;

  /** @param {() => Promise<void>} work */
  async function attempt(work) {
    showError(problem, "");
    await work().catch((error) => showError(problem, messageOf(error)));
  }

  const load = () => attempt(async () => {
    /** @type {HistoryEntry[]} */
    const entries = await request("GET", `${path}/history`);
    list.replaceChildren(...entries.map((entry) => node("li", {},
      node("time", { datetime: entry.at, title: entry.at }, timeOfDay(entry.at)), " ", sentence(entry), quotationIn(entry), editedArgs(entry))));
  });

  const form = node("form", { class: "ss-form ss-note-form", onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    if (text.value.trim()) attempt(async () => {
      await request("POST", `${path}/notes`, { text: text.value });
      text.value = "";
      dropDraft(draftKey);
      await load();
    });
  } }, text, node("button", { class: "ss-button" }, "Add note"));
  const summary = node("summary", {}, label(approval));
  const element = node("details", { class: "ss-history-of", ontoggle: () => { if (element.open) load(); } },
    summary, ...details(), list, problem, form);
  if (text.value) element.open = true;
  return { element, update: (changed) => { summary.textContent = label(changed); if (element.open) load(); } };
}

/** What an edit changed, argument by argument. @param {HistoryEntry} entry */
function editedArgs({ kind, detail }) {
  if (kind !== "decided" || detail.outcome !== "edited") return null;
  const [before, after] = [detail.args_before ?? {}, detail.args ?? {}];
  /** @param {unknown} value */
  const text = (value) => (value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value));
  const lines = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .map((name) => ({ subject: "", field: name, before: text(before[name]), after: text(after[name]) }))
    .filter((line) => line.before !== line.after);
  return effectList(lines, "Edited arguments");
}

/** What the client said that requested the call. @param {HistoryEntry} entry */
const quotationIn = ({ kind, actor, detail }) =>
  (kind === "requested" && actor.startsWith("caller:") ? quotationOf({ name: actor.slice(7), ...detail.client }) : null);

/** @param {HistoryEntry} entry @returns {Child[]} */
function sentence({ kind, actor, via, detail }) {
  const by = actor.startsWith("agent:") ? agentTitle(actor.slice(6))
    : actor.startsWith("caller:") ? [value(actor.slice(7)), " (API client)"] : value(actor);
  const channel = via && CHANNELS[via] ? ` via ${CHANNELS[via]}` : "";
  if (kind === "requested") return ["Requested by ", by, detail.asked_by ? [" for ", value(detail.asked_by)] : "", "."];
  if (kind === "claimed") return ["Claimed by ", by, "."];
  if (kind === "released") return ["Released by ", by, "."];
  if (kind === "noted") return [by, ": ", value(detail.text)];
  if (kind === "approved_once") return ["Approved once by ", by, `${channel}.`];
  if (kind === "decided") return [`${humanize(detail.outcome)} by `, by, channel, detail.reason ? [": ", value(detail.reason)] : "."];
  if (kind === "execution_begun") return ["Started."];
  if (kind === "execution_ended") return [RESULTS[detail.status] ?? `${humanize(detail.status)}.`];
  if (kind === "execution_refused") return [`Not run: ${detail.why}`];
  return [`${humanize(kind)} by `, by, "."];
}
