// Which thread the chat shows, and when it has to look again. What it shows is drawn by gr.Chatbot.
import { on, onOpen, register, send, tell } from "./shell.js";
import { clock } from "./text.js";

const VALID = /^[A-Za-z0-9_.:-]{1,128}$/;
const STUCK_MS = 5000;
const LOST_MS = 8000;
let current = null;
let link = null;
// Up to which number the Chatbot shows the thread, the highest the socket has told, and who is at it.
let rendered = 0;
let heard = 0;
let following = 0;
let subscribed = null;
// Since when the socket has told more than the Chatbot shows.
let behind = null;
let looked = false;

function thread() {
  if (current) return current;
  const asked = new URLSearchParams(location.search).get("thread");
  current = VALID.test(asked ?? "") ? asked : remembered() ?? made();
  keep();
  return current;
}

function remembered() {
  try {
    const kept = localStorage.getItem("ss-thread");
    return VALID.test(kept ?? "") ? kept : null;
  } catch { return null; }
}

function made() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `chat-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** In the address, so that each window has its own; in the browser, for the next window. */
function keep() {
  try { localStorage.setItem("ss-thread", current); } catch { /* the address still has it */ }
  const address = new URL(location.href);
  address.searchParams.set("thread", current);
  history.replaceState(history.state, "", address);
}

function open(threadId) {
  if (!VALID.test(threadId) || threadId === current) return;
  current = threadId;
  keep();
  forget();
  wake();
}

function fresh() {
  current = made();
  keep();
  forget();
  setTimeout(wake);
  document.querySelector("#ss-message textarea")?.focus();
}

function forget() {
  rendered = heard = following = 0;
  behind = null;
  subscribed = null;
}

/** Have Gradio look. Its first look is its own, on load: asked before that, it would never answer. */
function wake() {
  if (!looked) return;
  following = Date.now();
  link?.trigger("submit");
}

/** The Chatbot shows the thread up to here; at rest nobody follows it any more. */
function shown(text) {
  let state = null;
  try { state = JSON.parse(text); } catch { return; }
  if (state.thread_id !== thread()) return;
  rendered = state.seq;
  behind = heard > rendered ? Date.now() : null;
  looked = true;
  document.body.classList.add("ss-chat-loaded");
  following = state.rest ? 0 : Date.now();
  if (subscribed !== current) subscribe();
  if (state.rest && heard > rendered) wake();
}

// The first answer may be there before anyone watches for it.
let last = null;
function look() {
  if (!link?.props.value || link.props.value === last) return;
  last = link.props.value;
  shown(last);
  requestAnimationFrame(() => setTimeout(tick));
}

function subscribe() {
  subscribed = current;
  send({ type: "resume", thread_id: current, after: rendered });
}

function hear(frame) {
  if (frame.thread_id !== current || !Number.isSafeInteger(frame.seq)) return;
  heard = Math.max(heard, frame.seq);
  if (heard > rendered) behind ??= Date.now();
  wakeIfBehind();
}

function wakeIfBehind() {
  const nobody = !following || Date.now() - following > STUCK_MS;
  if (heard > rendered && nobody) wake();
}

// A server that was restarted at the wrong moment leaves Gradio waiting for an answer that nobody owes it any
// more, and then it asks nothing else. The address has the thread, so a new page shows all of it.
function startAnew() {
  const typed = [...document.querySelectorAll("textarea, input[type=text]")].some((field) => field.value.trim());
  if (behind && Date.now() - behind > LOST_MS && !typed) location.reload();
}

// Once in a while: nothing may be missed for good, and a colleague's time is told on the viewer's clock.
function tick() {
  wakeIfBehind();
  startAnew();
  // Gradio repeats a message's source as its label, markup and all: what stands in it reads better.
  document.querySelectorAll('#ss-chat [aria-label*="<"]').forEach((part) => part.removeAttribute("aria-label"));
  for (const place of document.querySelectorAll(".ss-wait--pending .ss-until")) {
    const id = [...place.closest(".ss-wait").classList].find((name) => name.startsWith("ss-wait-of-"));
    const until = expiries.get(id?.slice("ss-wait-of-".length));
    const text = until ? `until ${clock(until)}` : null;
    if (text && place.textContent !== text) place.textContent = text;
  }
}

const expiries = new Map();
const noteExpiry = (approval) => expiries.set(approval.approval_id, Date.parse(approval.expires_at));

function review(event) {
  const button = event.target.closest?.(".ss-review");
  const name = button && [...button.classList].find((item) => item.startsWith("ss-review-"));
  if (name) tell("show_approval", name.slice("ss-review-".length));
}

register("chat", (element, tools) => {
  link = tools;
  tools.watch("value", look);
  look();
  on("*", hear);
  on("approvals", (frame) => frame.items.forEach(noteExpiry));
  on("approval", (frame) => noteExpiry(frame.approval));
  on("open_thread", open);
  on("state", (state) => document.body.classList.toggle("ss-lost", state === "lost"));
  document.addEventListener("click", review);
  setInterval(() => { look(); tick(); }, 500);
  // Back after a lost connection: whatever was followed has ended with it.
  let first = true;
  onOpen(() => {
    subscribed = null;
    if (!first) { following = 0; wake(); }
    first = false;
  });
});

// For the functions that Gradio runs in the page: they wait for this file.
window.ssChatIsHere({ thread, wake, fresh });
