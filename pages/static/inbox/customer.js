// Who the customer is: what they have, what waits, their other conversations, and notes.

import { chip, exact, find, linkButton, messageOf, node, prose, showError, value } from "../shell/dom.js";
import { noteName } from "../shell/customers.js";
import { draftOf, dropDraft, keepDraft } from "../shell/drafts.js";
import { humanize } from "../shell/format.js";
import { newId } from "../shell/ids.js";
import { money } from "../shell/money.js";
import { request } from "../shell/rest.js";
import { customerName, shortTime, speaker } from "./names.js";
import { conversationLink } from "./timeline.js";

const HEADLINE = new Set(["customer_id", "name", "message", "currency"]);
const MAX_ROWS = 8;
/** @type {Record<string, string>} */
const STATUS_COLORS = { cancelled: "red", refunded: "", returned: "", processing: "amber", pending: "amber", open: "amber", overdue: "red", frozen: "red", suspended: "red" };

/** @typedef {Record<string, unknown>} Fields */

/** `€124.00`. @param {number} minor @param {unknown} currency */
const asMoney = (minor, currency) => money({ minor, currency: typeof currency === "string" && /^[A-Z]{3}$/.test(currency) ? currency : null });

/** A value as people read it. @param {string} name @param {unknown} given @param {unknown} currency */
function words(name, given, currency) {
  if (typeof given === "number" && name.endsWith("_cents")) return asMoney(given, currency);
  if (typeof given === "string" && /^\d{4}-\d\d-\d\dT/.test(given)) return new Date(given).toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
  if (name === "status") return humanize(String(given));
  if (typeof given === "boolean") return given ? "Yes" : "No";
  return String(given);
}

/** @param {unknown} given @returns {given is Fields} */
const isFields = (given) => typeof given === "object" && given !== null && !Array.isArray(given);

/** @param {string} name */
const label = (name) => humanize(name.replace(/_cents$|_at$|_id$/, ""));

/** What a tool answered, as rows and lists. @param {unknown} result @returns {HTMLElement[]} */
function record(result) {
  if (!isFields(result)) return [node("p", { dir: "auto" }, prose(typeof result === "string" ? result : JSON.stringify(result)))];
  const entries = Object.entries(result).filter(([, given]) => given !== null && given !== undefined && given !== "");
  const single = entries.filter(([name, given]) => !HEADLINE.has(name) && typeof given !== "object");
  /** @type {HTMLElement[]} */
  const parts = single.length ? [node("dl", { class: "ss-inbox-facts" }, single.map(([name, given]) =>
    [node("dt", {}, exact(label(name))), node("dd", {}, exact(words(name, given, result.currency)))]))] : [];
  for (const [name, given] of entries) {
    if (Array.isArray(given)) parts.push(listOf(name, given));
    else if (isFields(given)) parts.push(node("section", {}, node("h3", {}, exact(label(name))), ...record(given)));
  }
  if (parts.length === 0 && typeof result.message === "string") return [node("p", { dir: "auto" }, prose(result.message))];
  return parts;
}

/** @param {string} name @param {unknown[]} rows */
function listOf(name, rows) {
  const heading = node("h3", {}, exact(label(name)), " ", chip(String(rows.length)));
  if (rows.length === 0) return node("section", {}, heading, node("p", { class: "ss-muted" }, "None"));
  const rest = rows.length - MAX_ROWS;
  const list = node("ul", { class: "ss-things" }, rows.slice(0, MAX_ROWS).map(thing));
  const section = node("section", {}, heading, list);
  if (rest > 0) {
    const more = linkButton(`Show ${rest} more`, () => { list.append(...rows.slice(MAX_ROWS).map(thing)); more.remove(); });
    section.append(more);
  }
  return section;
}

/** One row: its id, what it is, money on the right; below a date and a status. @param {unknown} given */
function thing(given) {
  if (!isFields(given)) return node("li", {}, exact(String(given)));
  const entries = Object.entries(given).filter(([, one]) => one !== null && typeof one !== "object");
  const id = entries.find(([name]) => name.endsWith("_id") || name === "id" || name === "kind");
  const amount = entries.find(([name, one]) => name.endsWith("_cents") && typeof one === "number");
  const status = entries.find(([name]) => name === "status");
  const date = entries.find(([name]) => name.endsWith("_at"));
  const used = new Set([id, amount, status, date].map((entry) => entry?.[0]));
  const rest = entries.filter(([name]) => !used.has(name) && name !== "currency").map(([name, one]) => words(name, one, given.currency)).join(", ");
  return node("li", {},
    node("span", {}, id ? node("b", {}, exact(words(id[0], id[1], given.currency))) : "", " ", node("span", { class: "ss-what", title: exact(rest) }, exact(rest))),
    amount ? node("b", {}, asMoney(Number(amount[1]), given.currency)) : node("span"),
    node("span", { class: "ss-muted" }, date ? shortTime(String(date[1])) : ""),
    status ? node("span", { class: `ss-thing-status ss-thing-status--${STATUS_COLORS[String(status[1])] ?? ""}` }, exact(humanize(String(status[1])))) : node("span"));
}

/** @param {string} name */
const initials = (name) => name.split(/[\s-]+/).filter(Boolean).slice(0, 2).map((part) => part[0].toUpperCase()).join("");

/**
 * The sidebar of a conversation.
 * @param {HTMLElement} root
 * @param {InboxItem} item
 * @param {{open: (threadId: string) => void, close: () => void, loaded: (customer: InboxCustomer) => void, 
 *   showApproval: (approval: Approval) => void}} callbacks
 */
export function makeCustomer(root, item, { open, close, loaded, showApproval }) {
  const path = `/inbox/${encodeURIComponent(item.thread_id)}`;
  const name = node("h2", {}, value(customerName(item)));
  const picture = node("span", { class: "ss-initials", "aria-hidden": "true" });
  const under = node("p", { class: "ss-muted" });
  const verified = node("p");
  const card = node("div", { class: "ss-customer-card" });
  const waiting = node("section", { hidden: true });
  const earlier = node("section", { hidden: true });
  const notes = node("ul", { class: "ss-customer-notes" });
  const draftKey = `customer-note:${item.thread_id}`;
  /** @type {{text: string, noteId: string | null}} */
  const draft = draftOf(draftKey) ?? { text: "", noteId: null };
  const noteText = node("textarea", { rows: "2", maxlength: "2000", "aria-label": "Note about this customer", placeholder: "Add a note for your team",
    oninput: () => { draft.text = noteText.value; draft.noteId = null; keepNote(); } });
  noteText.value = draft.text;
  const noteProblem = node("p", { class: "ss-problem", role: "alert", hidden: true });
  const form = node("form", { class: "ss-form", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); addNote(); } },
    noteText, noteProblem, node("div", { class: "ss-actions" }, node("button", { class: "ss-button" }, "Add note")));
  const problem = node("p", { class: "ss-problem", role: "alert", hidden: true });
  let isClosed = false;
  let cardLoads = 0;
  let loads = 0;
  let shownLoad = 0;
  /** @type {ColleagueNote[]} */
  let allNotes = [];

  root.replaceChildren(
    node("header", {}, node("button", { type: "button", class: "ss-button ss-button--quiet ss-inbox-close", "aria-label": "Close customer details", onclick: close }, "✕"),
      picture, node("div", {}, name, under)), verified, problem, card, waiting, earlier,
    node("section", {}, node("h3", {}, "Notes"), notes, form));
  drawName();

  function drawName() {
    const text = customerName(item);
    name.replaceChildren(value(text));
    picture.textContent = initials(text);
    under.replaceChildren(item.customer_id ? value(item.customer_id) : "No customer known yet");
  }

  async function load() {
    const number = loads += 1;
    try {
      /** @type {InboxCustomer} */
      const known = await request("GET", `${path}/customer`);
      // An answer that comes after that of a later request is older than what is shown.
      if (isClosed || number < shownLoad) return;
      shownLoad = number;
      draw(known);
      loaded(known);
      if (known.has_card) await loadCard();
    } catch (error) {
      showError(problem, `Couldn't load the customer: ${messageOf(error)}`);
    }
  }

  async function loadCard() {
    // What was read before stays until it is read again.
    const load = ++cardLoads;
    if (!card.firstChild) card.replaceChildren(node("p", { class: "ss-muted", role: "status" }, "Loading what they have…"));
    try {
      const { result } = await request("GET", `${path}/customer/card`);
      if (isClosed || load !== cardLoads) return;
      card.replaceChildren(...record(result));
      if (isFields(result) && typeof result.name === "string" && item.customer_id) {
        noteName(item.customer_id, result.name);
      }
    } catch (error) {
      const again = linkButton("Try again", () => { loadCard(); });
      card.replaceChildren(node("p", { class: "ss-problem ss-problem--amber", role: "alert" }, messageOf(error), " ", again));
    }
  }

  /** @param {InboxCustomer} known */
  function draw(known) {
    showError(problem, "");
    const customer = known.customer;
    verified.replaceChildren(customer?.verified ? chip(["Verified", customer.name ? [" as ", value(customer.name)] : ""], "green")
      : node("span", { class: "ss-muted" }, "Not verified by your website"));
    waiting.hidden = known.approvals.length === 0;
    waiting.replaceChildren(node("h3", {}, "Open approvals ", chip(String(known.approvals.length), "amber")),
      node("ul", {}, known.approvals.map((approval) => node("li", {}, linkButton(approval.summary, () => showApproval(approval))))));
    earlier.hidden = known.earlier.length === 0;
    earlier.replaceChildren(node("h3", {}, "Earlier conversations ", chip(String(known.earlier.length))),
      node("ul", { class: "ss-earlier" }, known.earlier.map((one) => node("li", {}, conversationLink(one, open), node("span", { class: "ss-muted" }, shortTime(one.last_at))))));
    allNotes = known.notes;
    drawName();
    drawNotes();
  }

  function drawNotes() {
    notes.replaceChildren(...allNotes.map((note) => node("li", {}, node("span", { dir: "auto" }, prose(note.content)), " ",
      node("span", { class: "ss-muted" }, value(speaker("colleague", note.noted_by)), `, ${shortTime(note.noted_at)}`))));
  }

  /** @param {ColleagueNote} note */
  function put(note) {
    if (allNotes.some((one) => one.note_id === note.note_id)) return;
    allNotes = [...allNotes, note];
    drawNotes();
  }

  function keepNote() {
    if (draft.text) keepDraft(draftKey, draft);
    else dropDraft(draftKey);
  }

  async function addNote() {
    if (!noteText.value.trim()) { noteText.focus(); return; }
    draft.noteId ??= newId();
    keepNote();
    const sent = noteText.value;
    try {
      const note = await request("POST", `/conversations/${encodeURIComponent(item.thread_id)}/notes`, { content: sent.trim(), note_id: draft.noteId });
      draft.noteId = null;
      // What was typed meanwhile is another note.
      if (noteText.value === sent) noteText.value = draft.text = "";
      keepNote();
      showError(noteProblem, "");
      put(note);
      loaded({ thread_id: item.thread_id, customer: null, has_card: false, approvals: [], earlier: [], notes: allNotes });
    } catch (error) {
      showError(noteProblem, messageOf(error));
    }
  }

  return {
    load, put, drawName,
    close: () => { isClosed = true; },
    focus: () => { find(root, ".ss-inbox-close").focus(); },
  };
}
