// The page around the tabs: light or dark, one socket to the server that comes back by itself, its clock.

const listeners = new Map();
const kept = new Map();
const opened = [];
let socket = null;
let attempts = 0;
let offset = 0;
let heardAt = Date.now();
const PING_MS = 20_000;

/** Call `listener` with every frame of a type, of all types for "*"; "state" tells "live" or "lost". */
export function on(type, listener) {
  if (!listeners.has(type)) listeners.set(type, []);
  listeners.get(type).push(listener);
  if (!kept.has(type)) return;
  const frame = kept.get(type);
  kept.delete(type);
  queueMicrotask(() => listener(frame));
}

/** As `tell`; where nobody listens yet (a tab's parts come when it is opened first), for the first who will. */
export function tellWhenThere(type, frame) {
  if (listeners.has(type)) tell(type, frame);
  else kept.set(type, frame);
}

export function tell(type, frame) {
  for (const listener of listeners.get(type) ?? []) listener(frame);
}

/** Send a frame now where there is a connection. */
export function send(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

/** Call `start` each time a connection is there, now included. */
export function onOpen(start) {
  opened.push(start);
  if (socket?.readyState === WebSocket.OPEN) start();
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/ws`);
  socket.addEventListener("open", () => {
    attempts = 0;
    heardAt = Date.now();
    show("live");
    measureClock();
    for (const start of opened) start();
  });
  socket.addEventListener("message", (message) => {
    heardAt = Date.now();
    const frame = JSON.parse(message.data);
    tell(frame.type, frame);
    tell("*", frame);
  });
  socket.addEventListener("close", (event) => {
    if (event.reason === "unauthorized") { location.href = "/login"; return; }
    show("lost");
    attempts += 1;
    setTimeout(connect, Math.min(5000, 250 * 2 ** Math.min(attempts, 5)) * (0.7 + Math.random() * 0.6));
  });
}

// A connection can be dead without having been closed: whoever does not answer a ping is left.
setInterval(() => {
  if (socket?.readyState !== WebSocket.OPEN) return;
  if (Date.now() - heardAt > 2.5 * PING_MS) socket.close();
  else send({ type: "ping" });
}, PING_MS);

let shownState = "connecting";
function show(state) {
  shownState = state;
  paintState();
  tell("state", state);
}

function paintState() {
  const place = document.getElementById("ss-state");
  if (!place) return;
  place.dataset.state = shownState;
  place.lastElementChild.textContent = { live: "Live", lost: "Reconnecting…" }[shownState] ?? "Connecting…";
}

// The answer's Date header is exact to a second, which is as exact as a countdown shows.
async function measureClock() {
  const before = Date.now();
  const answer = await fetch("/api/v1/health", { cache: "no-store" }).catch(() => null);
  const server = Date.parse(answer?.headers.get("Date") ?? "");
  if (!Number.isNaN(server)) {
    const measured = server + 500 - (before + Date.now()) / 2;
    offset = Math.abs(measured) > 1500 ? measured : 0;
  }
}

/** The server's time in milliseconds. */
export const now = () => Date.now() + offset;

// Light or dark: the system's choice until the viewer makes one.
function chosenLook() {
  try { return localStorage.getItem("ss-look"); } catch { return null; }
}

function applyLook() {
  const look = chosenLook();
  if (look) document.body.classList.toggle("dark", look === "dark");
  paintLook();
}

function toggleLook() {
  const look = document.body.classList.contains("dark") ? "light" : "dark";
  try { localStorage.setItem("ss-look", look); } catch { /* it lasts until the page is left */ }
  document.body.classList.toggle("dark", look === "dark");
  paintLook();
}

function paintLook() {
  const button = document.getElementById("ss-look");
  const dark = document.body.classList.contains("dark");
  document.documentElement.style.colorScheme = dark ? "dark" : "light";
  button?.setAttribute("aria-label", dark ? "Switch to light" : "Switch to dark");
}

/** Go to a tab by its name. */
export function openTab(name) {
  for (const tab of document.querySelectorAll('button[role="tab"]')) {
    if (tab.textContent.trim() === name && tab.getAttribute("aria-selected") !== "true") tab.click();
  }
}

/** As `openTab`, as soon as there are tabs. */
export function openTabSoon(name) {
  if (document.querySelector('button[role="tab"]')) openTab(name);
  else requestAnimationFrame(() => openTabSoon(name));
}

/** Call `opened` each time a tab is opened. */
export function onTab(name, opened) {
  document.addEventListener("click", (event) => {
    const tab = event.target.closest?.('button[role="tab"]');
    if (tab?.textContent.trim() === name) opened();
  });
}

// Gradio puts its parts in place before or after these files are read: each waits for the other.
const placed = new Map((window.ssMounts ?? []).map(([name, ...parts]) => [name, parts]));
const builders = new Map();

/** Have `build` called with a part of the page, once it is there. */
export function register(name, build) {
  builders.set(name, build);
  if (placed.has(name)) build(...placed.get(name));
}

window.ssMounts = {
  push(...all) {
    for (const [name, ...parts] of all) {
      placed.set(name, parts);
      builders.get(name)?.(...parts);
    }
  },
};

// Who is logged in; where nobody has to, there is nothing to show.
async function showMe() {
  const answer = await fetch("/api/v1/me", { cache: "no-store" }).catch(() => null);
  if (answer?.status === 401) { location.href = "/login"; return; }
  const me = (await answer?.json().catch(() => null))?.data;
  if (!me) return;
  document.body.dataset.role = me.role;
  tell("me", me);
  const place = document.getElementById("ss-me");
  if (!place || !me.login) return;
  place.hidden = false;
  place.querySelector("span").textContent = `${me.name} (${me.role})`;
}

register("shell", (element) => {
  showMe();
  element.querySelector("#ss-look").addEventListener("click", toggleLook);
  element.querySelector("#ss-pending").addEventListener("click", () => tell("show_approvals"));
  paintState();
  applyLook();
  new MutationObserver(applyLook).observe(document.body, { attributeFilter: ["class"] });
});

connect();
