// Which thread the chat shows, and when it must load again. gr.Chatbot draws the messages.

import { onOpen, send } from "../shell/connection.js";
import { closest, find } from "../shell/dom.js";
import { draftOf, dropDraft, keepDraft } from "../shell/drafts.js";
import { emit, on } from "../shell/events.js";
import { timeOfDay } from "../shell/format.js";
import { register } from "../shell/mounts.js";
import { noteShown, sendMessage, showOutbox } from "./outbox.js";

const VALID_THREAD = /^[A-Za-z0-9_.:-]{1,128}$/;
const STORAGE_KEY = "ss-thread";
// A follower that has sent nothing for so long is taken to have ended.
const STALLED_MS = 5000;
const RELOAD_MS = 8000;
/** @type {string | null} */
let current = null;
/** @type {{trigger: (event: string) => void, props: {value: string}, watch: (name: string, listener: () => void) => void} | null} */
let gradio = null;
// The highest event number that the Chatbot shows, and the highest that the socket has received.
let renderedSeq = 0;
let receivedSeq = 0;
// When Gradio last answered or was last triggered; 0 where nothing follows the thread.
let followedAt = 0;
/** @type {string | null} */
let subscribed = null;
/** Since when the Chatbot lacks events that the socket has received. @type {number | null} */
let laggingSince = null;
let isLoaded = false;
/** @type {string | null} */
let lastValue = null;
/** @type {Map<string, number>} */
const expiries = new Map();

/** @returns {string} */
function thread() {
  if (current) return current;
  const requested = new URLSearchParams(location.search).get("thread") ?? "";
  current = VALID_THREAD.test(requested) ? requested : storedThread() ?? newThread();
  store(current);
  return current;
}

function storedThread() {
  try {
    const stored = localStorage.getItem(STORAGE_KEY) ?? "";
    return VALID_THREAD.test(stored) ? stored : null;
  } catch { return null; }
}

function newThread() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `chat-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Keeps the thread in the address, so that each window has its own, and in the browser, for the next window. @param {string} threadId */
function store(threadId) {
  try { localStorage.setItem(STORAGE_KEY, threadId); } catch { /* the address still has it */ }
  const address = new URL(location.href);
  address.searchParams.set("thread", threadId);
  history.replaceState(history.state, "", address);
}

function startNew() {
  current = newThread();
  store(current);
  reset();
  setTimeout(wake);
  messageField()?.focus();
}

const messageField = () => /** @type {HTMLTextAreaElement | null} */ (document.querySelector("#ss-message textarea"));

/** Sends what was typed. @param {string} text */
function say(text) {
  sendMessage(thread(), text);
  keepText("");
}

/** Puts a text into the message field, unless something is typed there. Whether it is there now. @param {string} text */
function putBack(text) {
  const field = messageField();
  if (!field || (field.value.trim() && field.value !== text)) return false;
  field.value = text;
  // For Gradio, which reads the field when it changes.
  field.dispatchEvent(new Event("input", { bubbles: true }));
  return true;
}

const draftKey = () => `chat:${thread()}`;

/** Keeps what is typed and not sent. @param {string} text */
function keepText(text) {
  if (text) keepDraft(draftKey(), { text });
  else dropDraft(draftKey());
}

function restoreText() {
  const draft = draftOf(draftKey());
  if (draft) putBack(draft.text);
}

/** An example, or an option of a question, is sent as it reads. @param {Event} event */
function choose(event) {
  const choice = closest(event, "#ss-chat .example, #ss-chat .option");
  if (!choice) return;
  event.stopPropagation();
  say((choice.querySelector(".example-text") ?? choice).textContent?.trim() ?? "");
}

/** Sends what is in the message field. Not by an event of Gradio, which drops all of them once it has lost the server. @param {Event} event */
function submit(event) {
  const field = messageField();
  if (!field) return;
  event.preventDefault();
  event.stopPropagation();
  const text = field.value;
  field.value = "";
  field.dispatchEvent(new Event("input", { bubbles: true }));
  say(text);
}

/** @param {KeyboardEvent} event */
function submitByKey(event) {
  const isEnter = event.key === "Enter" && !event.shiftKey && !event.isComposing;
  if (isEnter && event.target === messageField()) submit(event);
}

/** @param {Event} event */
function submitByClick(event) {
  if (closest(event, "#ss-send")) submit(event);
}

function reset() {
  renderedSeq = receivedSeq = followedAt = 0;
  laggingSince = subscribed = null;
  noteShown({ threadId: thread(), seq: 0, isBusy: false });
}

/** Makes Gradio load the thread and follow it. Before its own first load has ended, a trigger would hang. */
function wake() {
  if (!isLoaded) return;
  followedAt = Date.now();
  gradio?.trigger("submit");
}

/** Takes note of what the Chatbot shows: the JSON of `pages/chat.py`. @param {string} text */
function noteRendered(text) {
  const state = JSON.parse(text);
  if (state.thread_id !== thread()) return;
  renderedSeq = state.seq;
  laggingSince = receivedSeq > renderedSeq ? Date.now() : null;
  if (!isLoaded) restoreText();
  isLoaded = true;
  document.body.classList.add("ss-chat-loaded");
  followedAt = state.rest ? 0 : Date.now();
  noteShown({ threadId: thread(), seq: renderedSeq, isBusy: !state.rest });
  if (subscribed !== current) subscribe();
  if (state.rest && receivedSeq > renderedSeq) wake();
}

// Also polled, as the first answer may come before Gradio reports changes.
function checkValue() {
  if (!gradio?.props.value || gradio.props.value === lastValue) return;
  lastValue = gradio.props.value;
  noteRendered(lastValue);
  requestAnimationFrame(() => setTimeout(tick));
}

function subscribe() {
  subscribed = current;
  send({ type: "resume", thread_id: current, after: renderedSeq });
}

/** @param {{thread_id?: string, seq?: number}} frame */
function noteReceived(frame) {
  if (frame.thread_id !== current || frame.seq === undefined || !Number.isSafeInteger(frame.seq)) return;
  receivedSeq = Math.max(receivedSeq, frame.seq);
  if (receivedSeq > renderedSeq) laggingSince ??= Date.now();
  wakeIfLagging();
}

function wakeIfLagging() {
  const isStalled = !followedAt || Date.now() - followedAt > STALLED_MS;
  if (receivedSeq > renderedSeq && isStalled) wake();
}

// When the server restarts at the wrong time, Gradio waits for an answer that never comes and sends nothing else.
// The address has the thread, so a new page shows all of it.
function reloadIfStuck() {
  const fields = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("textarea, input[type=text]"));
  const isTyping = [...fields].some((field) => field.value.trim());
  if (laggingSince && Date.now() - laggingSince > RELOAD_MS && !isTyping) location.reload();
}

/** Catches up on what was missed, and shows expiry times in the viewer's time zone. */
function tick() {
  wakeIfLagging();
  reloadIfStuck();
  // Gradio repeats a message's source, with its markup, as its label; the content reads better.
  document.querySelectorAll('#ss-chat [aria-label*="<"]').forEach((part) => part.removeAttribute("aria-label"));
  // A step's heading is a button that holds another one, without a name; the heading does the same.
  for (const inner of document.querySelectorAll("#ss-chat :is(button, [role=button]) button")) inner.toggleAttribute("inert", true);
  // Gradio's list of examples has buttons in it, and no items.
  document.querySelector('#ss-chat .examples[role="list"]')?.setAttribute("role", "group");
  for (const place of document.querySelectorAll(".ss-wait--pending .ss-until")) {
    const expiry = expiries.get(idInClass(place.closest(".ss-wait"), "ss-wait-of-") ?? "");
    const text = expiry ? `until ${timeOfDay(expiry)}` : null;
    if (text && place.textContent !== text) place.textContent = text;
  }
}

/** @param {Approval} approval */
const noteExpiry = (approval) => expiries.set(approval.approval_id, Date.parse(approval.expires_at));

/** The approval id that a message carries in a class, as the Chatbot keeps no other attribute. @param {Element | null} element @param {string} prefix */
const idInClass = (element, prefix) =>
  [...(element?.classList ?? [])].find((name) => name.startsWith(prefix))?.slice(prefix.length);

/** @param {Event} event */
function review(event) {
  const id = idInClass(closest(event, ".ss-review"), "ss-review-");
  if (id) emit("show_approval", id);
}

register("chat", (_element, tools) => {
  gradio = tools;
  tools.watch("value", checkValue);
  checkValue();
  on("*", noteReceived);
  on("approvals", (frame) => frame.items.forEach(noteExpiry));
  on("approval", (frame) => { noteExpiry(frame.approval); });
  document.addEventListener("click", review);
  document.addEventListener("click", choose, { capture: true });
  document.addEventListener("click", submitByClick, { capture: true });
  document.addEventListener("keydown", submitByKey, { capture: true });
  document.addEventListener("input", (event) => {
    const field = closest(event, "#ss-message textarea");
    if (field instanceof HTMLTextAreaElement) keepText(field.value);
  });
  noteShown({ threadId: thread(), seq: 0, isBusy: false });
  setInterval(() => { checkValue(); tick(); }, 500);
  // After a lost connection, whatever followed the thread has ended with it.
  let isFirst = true;
  onOpen(() => {
    subscribed = null;
    if (!isFirst) { followedAt = 0; wake(); }
    isFirst = false;
  });
});

register("outbox", (element) => showOutbox(find(element, "ol"), putBack));

// The functions that Gradio runs in the page wait for this file.
window.resolveChat?.({ thread, startNew });
