// Messages on their way: kept until the server has them on record, shown until the Chatbot shows them.
// Each has an id of its own, so one that is sent again, after a lost connection or a reload, is recorded once.

import { connectionState, onOpen, reconnect, send } from "../shell/connection.js";
import { actionButton, node, prose } from "../shell/dom.js";
import { draftOf, dropDraft, keepDraft } from "../shell/drafts.js";
import { on } from "../shell/events.js";
import { newId } from "../shell/ids.js";

const DRAFT_KEY = "outbox";
/** Problems that only other words can solve: they go back into the message field. */
const INVALID_TEXT = ["invalid_content"];

/**
 * `seq`: the number of its event, once it is on record. `problem`: why the server refused it.
 * @typedef {{id: string, threadId: string, text: string, isAccepted: boolean, problem: string, seq: number | null}} Outgoing
 */
/** @type {Outgoing[]} */
let messages = draftOf(DRAFT_KEY) ?? [];
/** What the Chatbot shows. */
let shown = { threadId: "", seq: 0, isBusy: false };
/** @type {HTMLElement | null} */
let list = null;
/** @type {(text: string) => boolean} */
let putBack = () => false;
let refusal = "";

function store() {
  const left = messages.filter((one) => one.seq === null).map((one) => ({ ...one, isAccepted: false }));
  if (left.length) keepDraft(DRAFT_KEY, left);
  else dropDraft(DRAFT_KEY);
}

/** Sends a message of a thread, again and again until it is on record. @param {string} threadId @param {string} text */
export function sendMessage(threadId, text) {
  if (!text.trim()) return;
  refusal = "";
  messages.push({ id: newId(), threadId, text, isAccepted: false, problem: "", seq: null });
  transmit(messages[messages.length - 1]);
  changed();
}

/** Takes note of what the Chatbot shows. @param {{threadId: string, seq: number, isBusy: boolean}} state */
export function noteShown(state) {
  shown = state;
  messages = messages.filter((one) => one.seq === null || one.threadId !== state.threadId || one.seq > state.seq);
  changed();
}

/**
 * Shows the messages on their way in `element`.
 * @param {HTMLElement} element
 * @param {(text: string) => boolean} restore puts a text into the message field, unless that holds another one
 */
export function showOutbox(element, restore) {
  list = element;
  putBack = restore;
  changed();
}

/** @param {Outgoing} message */
function transmit(message) {
  Object.assign(message, { isAccepted: false, problem: "" });
  send({ type: "message", thread_id: message.threadId, content: message.text, message_id: message.id });
}

function changed() {
  store();
  draw();
}

function draw() {
  if (!list) return;
  const own = messages.filter((one) => one.threadId === shown.threadId);
  /** @type {Map<string | undefined, HTMLElement>} */
  const before = new Map([...list.children].map((child) => [/** @type {HTMLElement} */ (child).dataset.message, /** @type {HTMLElement} */ (child)]));
  const items = own.map((one) => before.get(one.id) ?? bubble(one));
  own.forEach((one, index) => update(items[index], one));
  const problem = refusal ? [before.get("") ?? problemLine()] : [];
  for (const line of problem) line.textContent = refusal;
  const lines = [...items, ...problem];
  for (const child of [...list.children]) if (!lines.includes(/** @type {HTMLElement} */ (child))) child.remove();
  lines.forEach((item, index) => { if (list?.children[index] !== item) list?.insertBefore(item, list.children[index] ?? null); });
  const side = /** @type {HTMLElement | null} */ (list.closest("#ss-chat-side"));
  side?.style.setProperty("--ss-outbox", `${lines.length ? list.offsetHeight + 12 : 0}px`);
}

/** @param {Outgoing} message */
function bubble(message) {
  const item = node("li", { class: "ss-outgoing" }, node("p", {}, prose(message.text)), node("span", { class: "ss-muted" }));
  item.dataset.message = message.id;
  return item;
}

function problemLine() {
  const line = node("li", { class: "ss-problem", role: "alert" });
  line.dataset.message = "";
  return line;
}

/** @param {HTMLElement} item @param {Outgoing} message */
function update(item, message) {
  const isUnsent = Boolean(message.problem) || (message.seq === null && connectionState() !== "live");
  const status = item.querySelector("span");
  const words = message.problem ? `Not sent: ${message.problem}`
    : isUnsent ? "Not sent. It will be sent when the connection is back."
      : shown.isBusy ? "Waiting for the current answer" : "Sending…";
  if (status && status.textContent !== words) status.textContent = words;
  item.classList.toggle("ss-unsent", isUnsent);
  const actions = item.querySelector(".ss-actions");
  if (!isUnsent) actions?.remove();
  else if (!actions) {
    item.append(node("div", { class: "ss-actions" },
      actionButton("Retry", "", () => { retry(message); }), actionButton("Discard", "quiet", () => { discard(message); })));
  }
}

/** @param {Outgoing} message */
function retry(message) {
  if (connectionState() === "live") transmit(message);
  else { message.problem = ""; reconnect(); }
  changed();
}

/** @param {Outgoing} message */
function discard(message) {
  messages = messages.filter((one) => one !== message);
  changed();
}

/** @param {string | undefined} id */
const find = (id) => messages.find((one) => one.id === id && one.seq === null);

on("message", ({ message_id: id, seq }) => {
  const message = find(id);
  if (!message) return;
  message.seq = seq;
  noteShown(shown);
});
on("message_accepted", ({ message_id: id, recorded }) => {
  const message = find(id);
  if (!message) return;
  // The Chatbot shows what is on record, or will within the second.
  if (recorded) messages = messages.filter((one) => one !== message);
  else message.isAccepted = true;
  changed();
});
on("error", ({ message_id: id, code, message: problem, seq }) => {
  const refused = find(id);
  if (refused && INVALID_TEXT.includes(code) && putBack(refused.text)) {
    messages = messages.filter((one) => one !== refused);
    refusal = problem;
  } else if (refused) refused.problem = problem;
  // An error without a place in the log: turns that never began are gone, with their messages.
  else if (!Number.isSafeInteger(seq)) for (const one of messages) if (one.isAccepted && one.seq === null) one.problem = problem;
  if (refused || messages.length) changed();
});
on("state", () => { if (messages.length) draw(); });
onOpen(() => { for (const message of messages) if (message.seq === null && !message.problem) transmit(message); });
