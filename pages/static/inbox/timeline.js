// One conversation as it was and as it goes on: bubbles, folded tool steps, cards to decide, notes.

import { makeCard, updateTimes } from "../approvals/card.js";
import { settleCard, updateCard } from "../approvals/card_changes.js";
import { outcomeOf, OUTCOMES } from "../approvals/decided.js";
import { newest } from "../approvals/newest.js";
import { now } from "../shell/connection.js";
import { chip, exact, linkButton, messageOf, node, prose, value } from "../shell/dom.js";
import { humanize, plural } from "../shell/format.js";
import { request, requestPage } from "../shell/rest.js";
import { isLead, shortTime, speaker } from "./names.js";

const PAGE_SIZE = 200;
// How many event numbers of a long conversation are loaded at first.
const MAX_EVENTS = 3000;
const NEAR_END_PX = 80;
/** @type {Record<string, string>} */
const VERBS = { get: "Checked", find: "Looked up", list: "Listed", search: "Searched", lookup: "Looked up", check: "Checked", read: "Read" };
/** @type {Record<string, string>} */
const RESULTS = { error: "failed", rejected: "rejected", expired: "expired", skipped: "skipped" };
const INTERNAL = new Set(["withdraw", "find_tools", "escalate_to_human"]);

/** `Checked order status 1042`. @param {Step} call */
function sentenceOf(call) {
  const [verb, ...rest] = String(call.tool).split("_");
  const given = Object.values(call.args ?? {}).find((one) => typeof one === "string" || typeof one === "number");
  const words = VERBS[verb] && rest.length ? `${VERBS[verb]} ${rest.join(" ")}` : humanize(call.tool);
  return given === undefined || String(given).length > 40 ? words : `${words} ${given}`;
}

/**
 * The conversation of a thread, drawn into `scroll`.
 * @param {HTMLElement} scroll
 * @param {InboxItem} item
 * @param {() => string} customer the customer's name
 */
export function makeTimeline(scroll, item, customer) {
  const list = node("div", { class: "ss-messages", role: "log", "aria-label": "Messages", tabindex: "0" });
  const earlier = node("button", { type: "button", class: "ss-link", hidden: true, onclick: () => loadFrom(0) }, "Show earlier messages");
  const status = node("p", { class: "ss-muted", role: "status" }, "Loading the conversation…");
  scroll.replaceChildren(earlier, status, list);
  /** @typedef {{slot: HTMLElement, summary: string, card: Card | null, isDecided: boolean}} Slot */
  /** The places of this thread's approvals, by id. @type {Map<string, Slot>} */
  const slots = new Map();
  /** Messages of which tokens come. @type {Map<string, HTMLElement>} */
  let streaming = new Map();
  /** @typedef {{element: HTMLDetailsElement, summary: HTMLElement, list: HTMLElement, calls: Step[]}} Group */
  /** @type {Group | null} */
  let group = null;
  /** @type {Map<string, {line: HTMLElement, group: Group}>} */
  let calls = new Map();
  /** @type {ColleagueNote[]} */
  let notes = [];
  /** Notes that are shown. @type {Set<string>} */
  let shownNotes = new Set();
  let lastSeq = 0;
  let day = "";
  let isClosed = false;
  let isLoading = false;

  /** @param {number} after */
  async function loadFrom(after) {
    const isAtEnd = lastSeq === 0;
    try {
      /** @type {Step[]} */
      const steps = [];
      /** @type {number | null} */
      let from = after;
      while (from !== null) {
        const page = await requestPage("GET", `/replay/${encodeURIComponent(item.thread_id)}?after=${from}&limit=${PAGE_SIZE}`);
        steps.push(...page.data);
        from = page.meta.next_cursor;
      }
      if (isClosed) return;
      const height = scroll.scrollHeight;
      reset();
      isLoading = true;
      for (const step of steps) add(step);
      isLoading = false;
      earlier.hidden = after === 0;
      status.hidden = true;
      showNotes("\uffff");
      await showCards();
      if (isAtEnd) scroll.scrollTop = scroll.scrollHeight;
      else if (after === 0) scroll.scrollTop += scroll.scrollHeight - height;
    } catch (error) {
      status.hidden = false;
      status.textContent = `Couldn't load the conversation: ${messageOf(error)}`;
    }
  }

  function reset() {
    list.replaceChildren();
    slots.clear();
    streaming = new Map();
    calls = new Map();
    shownNotes = new Set();
    group = null;
    lastSeq = 0;
    day = "";
  }

  /** Changes what is shown, and keeps the end in sight where it is. @param {() => void} change */
  function atEnd(change) {
    // To ask where the end is costs a layout: not for each of thousands of events.
    if (isLoading) { change(); return; }
    const isNearEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_END_PX;
    change();
    if (isNearEnd) scroll.scrollTop = scroll.scrollHeight;
  }

  /** Adds a node in the order of time. @param {HTMLElement} element @param {string} at */
  const append = (element, at) => atEnd(() => place(element, at));

  /** @param {HTMLElement} element @param {string} at */
  function place(element, at) {
    showNotes(at);
    const date = new Date(at).toDateString();
    if (date !== day) {
      day = date;
      const label = date === new Date(now()).toDateString() ? "Today" : new Date(at).toLocaleDateString("en", { dateStyle: "medium" });
      list.append(node("p", { class: "ss-day" }, node("span", {}, label)));
    }
    list.append(element);
  }

  /** Shows the notes from before a time. @param {string} before */
  function showNotes(before) {
    for (const note of notes) {
      if (shownNotes.has(note.note_id) || note.noted_at >= before) continue;
      shownNotes.add(note.note_id);
      list.append(node("div", { class: "ss-bubble ss-bubble--note" },
        node("p", { class: "ss-by" }, value(speaker("colleague", note.noted_by)), " ",
          node("span", { class: "ss-muted" }, `${shortTime(note.noted_at)}, note`)), node("p", { dir: "auto" }, prose(note.content))));
      group = null;
    }
  }

  /** @param {string} role @param {string | null | undefined} by @param {string} at @param {string} text */
  function bubble(role, by, at, text) {
    const label = role === "customer" ? customer() : speaker(role, by);
    const body = node("p", { dir: "auto" }, prose(text));
    append(node("div", { class: `ss-bubble ss-bubble--${role}` },
      node("p", { class: "ss-by" }, value(label), " ",
        node("span", { class: "ss-muted" }, `${role === "agent" ? "AI agent, " : ""}${shortTime(at)}`)), body), at);
    return body;
  }

  /** @param {string} at @param {string} kind @param {...Child} content */
  function line(at, kind, ...content) {
    append(node("p", { class: `ss-inbox-line ss-inbox-line--${kind}`, dir: "auto" }, content), at);
  }

  /** @param {Step} step */
  function addCall(step) {
    if (INTERNAL.has(step.tool)) return;
    if (!group) {
      const summary = node("summary");
      const steps = node("ol");
      group = { element: node("details", { class: "ss-inbox-steps" }, summary, steps), summary, list: steps, calls: [] };
      append(group.element, step.at);
    }
    group.calls.push(step);
    const entry = node("li", {}, node("b", {}, humanize(step.tool)), " ",
      node("code", {}, exact(Object.entries(step.args ?? {}).map(([name, one]) => `${name}: ${typeof one === "string" ? one : JSON.stringify(one)}`).join(", "))));
    group.list.append(entry);
    calls.set(step.tool_call_id, { line: entry, group });
    drawGroup(group);
  }

  /** @param {Group} one */
  function drawGroup(one) {
    const failed = one.calls.map((call) => RESULTS[call.status ?? ""]).find(Boolean);
    one.summary.replaceChildren(exact(sentenceOf(one.calls[0])),
      node("span", { class: "ss-muted" }, ` · ${plural(one.calls.length, "step")}${failed ? ` · ${failed}` : ""}`));
  }

  /** @param {Step} step */
  function addResult(step) {
    const call = calls.get(step.tool_call_id);
    if (!call) return;
    const made = call.group.calls.find((one) => one.tool_call_id === step.tool_call_id);
    if (made) made.status = step.status;
    call.line.append(node("span", { class: "ss-muted" }, ` ${step.status === "ok" ? "→" : RESULTS[step.status] ?? step.status} `),
      node("span", { class: "ss-result" }, exact(String(step.content).slice(0, 400))));
    drawGroup(call.group);
  }

  /** @param {Step} step */
  function addApproval(step) {
    const slot = node("div", { class: "ss-slot" }, node("p", { class: "ss-inbox-line ss-inbox-line--amber" }, `Waiting for approval: ${exact(step.summary)}`));
    slots.set(step.approval_id, { slot, summary: step.summary, card: null, isDecided: false });
    append(slot, step.at);
  }

  /** @param {Step} step */
  function addDecision(step) {
    const made = slots.get(step.approval_id);
    const by = step.outcome === "expired" ? null : step.decided_by;
    const label = OUTCOMES[step.outcome] ?? [humanize(step.outcome), ""];
    if (!made) line(step.at, "amber", label[0], by ? [" by ", value(by)] : "");
    // A card tells it with what has become of the call.
    else if (!made.card && !made.isDecided) showDecided(made, label, by);
  }

  /** @param {Slot} made @param {[string, string]} label @param {string | null} by @param {string} failure */
  function showDecided(made, label, by, failure = "") {
    made.card = null;
    made.isDecided = true;
    made.slot.replaceChildren(node("p", { class: "ss-inbox-line ss-inbox-line--decided", tabindex: "-1" },
      chip(label[0], failure ? "amber" : label[1]), " ", value(made.summary), by ? [" · ", value(by)] : "",
      failure ? node("span", { class: "ss-problem" }, failure) : ""));
  }

  /** Adds an event, once. Events over the socket have no time. @param {Step} step */
  function add(step) {
    if (step.seq <= lastSeq) return;
    lastSeq = step.seq;
    step.at ??= new Date(now()).toISOString();
    if (step.type === "token") { addToken(step); return; }
    streaming.clear();
    if (step.type === "tool_call") { addCall(step); return; }
    if (step.type === "tool_result") { addResult(step); return; }
    if (step.type === "route" || step.type === "message_complete") return;
    group = null;
    if (step.type === "message") bubble(step.role, step.role === "colleague" ? step.by : step.agent, step.at, step.content);
    else if (step.type === "clarification") bubble("agent", step.agent ?? "assistant", step.at, [step.question, ...(step.options ?? [])].join("\n"));
    else if (step.type === "interrupt") addApproval(step);
    else if (step.type === "decision") addDecision(step);
    else if (step.type === "escalation") line(step.at, "red", "Escalated: ", prose(step.reason));
    else if (step.type === "takeover") {
      line(step.at, "accent", value(speaker("colleague", step.by)), step.state === "taken" ? " took the conversation over" : " handed it back to the agents",
        step.note ? [": ", prose(step.note)] : "");
    } else if (step.type === "error") line(step.at, "red", prose(step.message));
  }

  /** @param {Step} step */
  function addToken(step) {
    const agent = String(step.agent);
    const body = streaming.get(agent);
    if (!body) { group = null; streaming.set(agent, bubble("agent", agent, step.at, step.content)); return; }
    atEnd(() => body.append(prose(step.content)));
  }

  /** Shows cards for the approvals that wait. */
  async function showCards() {
    if (!isLead()) return;
    const waiting = [...slots].filter(([, made]) => !made.card && !made.isDecided);
    await Promise.all(waiting.map(async ([id]) => {
      const approval = await request("GET", `/approvals/${encodeURIComponent(id)}`).catch(() => null);
      if (approval && !isClosed) putApproval(approval);
    }));
  }

  /** @param {Approval} approval */
  const putApproval = (approval) => atEnd(() => drawApproval(approval));

  /** @param {Approval} given what an answer or a frame says, or said before a person dismissed it */
  function drawApproval(given) {
    const approval = newest(given);
    const made = slots.get(approval.approval_id);
    if (!made || !isLead()) return;
    if (approval.status === "pending") {
      if (made.isDecided) return;
      if (made.card) { updateCard(made.card, approval); return; }
      made.card = makeCard(approval, { failed: (error) => showFailure(made.slot, error) });
      made.slot.replaceChildren(made.card.element);
      return;
    }
    // Who was typing is told first, and keeps what they had typed in sight.
    if (made.card?.isRefused || (made.card && settleCard(made.card, approval, () => drawApproval(approval), { staysIfFocused: false }))) return;
    const hasFocus = made.slot.contains(document.activeElement);
    const failure = approval.execution === "failed" ? `Not carried out. ${approval.execution_reason ?? ""}`
      : approval.execution === "outcome_unknown" ? "Outcome unknown. Check manually." : "";
    made.summary = approval.summary;
    showDecided(made, outcomeOf(approval), approval.status === "expired" ? null : approval.decided_by ?? null, failure);
    if (hasFocus) /** @type {HTMLElement | null} */ (made.slot.firstElementChild)?.focus({ preventScroll: true });
  }

  /** @param {HTMLElement} slot @param {unknown} error */
  function showFailure(slot, error) {
    slot.append(node("p", { class: "ss-problem", role: "alert" }, messageOf(error)));
  }

  return {
    load: () => loadFrom(Math.max(0, item.last_seq - MAX_EVENTS)),
    get lastSeq() { return lastSeq; },
    /** @param {Step} step */
    receive: (step) => {
      add({ ...step });
      if (step.type === "interrupt") showCards();
    },
    putApproval,
    /** @param {ColleagueNote[]} all */
    setNotes: (all) => { notes = all.filter((note) => note.thread_id === item.thread_id); if (lastSeq) atEnd(() => showNotes("\uffff")); },
    redrawNames: () => { for (const name of list.querySelectorAll(".ss-bubble--customer .ss-by bdi")) name.textContent = exact(customer()); },
    updateTimes: () => { for (const { card } of slots.values()) if (card) updateTimes(card); },
    close: () => { isClosed = true; },
  };
}

/** A link that opens a conversation. @param {InboxItem} item @param {(threadId: string) => void} open */
export const conversationLink = (item, open) => linkButton(item.opening ?? item.last?.text ?? item.thread_id, () => open(item.thread_id));
