// Working on one card together: claim and release, notes, and its history out of the audit record.

import { effectLines } from "./effect.js";
import { now, on } from "./shell.js";
import { clock, node, words } from "./text.js";
import { asked } from "./rest.js";

// What this window has claimed, kept over a reload of it. Where people log in, a claim is theirs in every window.
const KEPT = "ss-claimed";
const mine = new Set(kept());
let me = null;
on("me", (user) => { me = user; });
const DOORS = { console: "the console", rest: "the API", socket: "a socket", gradio: "the Gradio API", system: "the clock", policy: "a policy" };

/** Who is at work on an approval, while the claim lasts: `{name, own, same, until}`; `same`: the server lets us release it. */
export function holder(approval) {
  if (!approval.claimed_by || Date.parse(approval.claimed_until) <= now()) return null;
  const same = approval.claimed_by === me?.name;
  const own = mine.has(approval.approval_id) || (same && Boolean(me?.login));
  return { name: approval.claimed_by, own, same: own || same, until: clock(approval.claimed_until) };
}

function kept() {
  try { return JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"); } catch { return []; }
}

function keep() {
  try { sessionStorage.setItem(KEPT, JSON.stringify([...mine])); } catch { /* they last until the page is left */ }
}

/** Whether to go on although somebody else is at work on it. Asked once for each claim. */
export function mayGoOn(card) {
  const held = holder(card.approval);
  if (!held || held.own || card.warned === card.approval.claimed_until) return true;
  card.warned = card.approval.claimed_until;
  return false;
}

/** Claim a card for this window, or give it back; the server tells all windows. */
export async function toggleClaim(card) {
  const held = holder(card.approval);
  const path = `/approvals/${encodeURIComponent(card.id)}/claim`;
  if (held?.same) {
    await asked("DELETE", path);
    mine.delete(card.id);
  } else {
    mine.add(card.id);
    await asked("POST", path).catch((error) => { mine.delete(card.id); throw error; });
  }
  keep();
}

/** A disclosure with all that happened to an approval, what `more` gives above it, and a field for a note. */
export function makeHistory(approval, more = () => []) {
  const list = node("ol", { class: "ss-history" });
  const text = node("input", { type: "text", maxlength: "2000", "aria-label": "Note", placeholder: "Add a note for your colleagues" });
  const problem = node("p", { class: "ss-problem", role: "alert", hidden: true });
  const path = `/approvals/${encodeURIComponent(approval.approval_id)}`;

  async function load() {
    problem.hidden = true;
    try {
      const rows = await asked("GET", `${path}/history`);
      list.replaceChildren(...rows.map((row) => node("li", {}, node("time", { datetime: row.at, title: row.at }, clock(row.at)), " ", said(row), edited(row))));
    } catch (error) {
      problem.hidden = false;
      problem.textContent = error.message;
    }
  }

  const form = node("form", { class: "ss-form ss-note-form", onsubmit: async (event) => {
    event.preventDefault();
    if (!text.value.trim()) return;
    try {
      await asked("POST", `${path}/notes`, { text: text.value });
      text.value = "";
      await load();
    } catch (error) {
      problem.hidden = false;
      problem.textContent = error.message;
    }
  } }, text, node("button", { class: "ss-button" }, "Add note"));
  const label = node("summary", {}, historyLabel(approval));
  const details = node("details", { class: "ss-history-of", ontoggle: () => { if (details.open) load(); } },
    label, ...more(), list, problem, form);
  return { element: details, update: (fresh) => { label.textContent = historyLabel(fresh); if (details.open) load(); } };
}

const historyLabel = (approval) => (approval.notes ? `History · ${approval.notes} note${approval.notes > 1 ? "s" : ""}` : "History");

const ENDS = { done: "Carried out.", failed: "Not carried out; nothing was changed.",
  outcome_unknown: "Its outcome is unknown: check by hand." };

/** What an edit changed, argument by argument. */
function edited({ kind, detail }) {
  if (kind !== "decided" || detail.outcome !== "edited") return null;
  const [before, after] = [detail.args_before ?? {}, detail.args ?? {}];
  const text = (value) => (value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value));
  const lines = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .map((name) => ({ subject: "", field: name, before: text(before[name]), after: text(after[name]) }))
    .filter((line) => line.before !== line.after);
  return effectLines(lines, "What was edited");
}

function said({ kind, actor, via, detail }) {
  const by = actor.startsWith("agent:") ? words(actor.slice(6)) : actor;
  const door = DOORS[via] ? ` through ${DOORS[via]}` : "";
  if (kind === "requested") return `Asked for by ${by}${detail.asked_by ? `, for ${detail.asked_by}` : ""}.`;
  if (kind === "claimed") return `Claimed by ${by}.`;
  if (kind === "released") return `Released by ${by}.`;
  if (kind === "noted") return `${by}: ${detail.text}`;
  if (kind === "approved_once") return `Approved once by ${by}${door}.`;
  if (kind === "decided") return `${words(detail.outcome)} by ${by}${door}${detail.reason ? `: ${detail.reason}` : "."}`;
  if (kind === "execution_begun") return "Began to run.";
  if (kind === "execution_ended") return ENDS[detail.status] ?? `Ran: ${words(detail.status).toLowerCase()}.`;
  if (kind === "execution_refused") return `Did not run: ${detail.why}`;
  return `${words(kind)} by ${by}.`;
}
