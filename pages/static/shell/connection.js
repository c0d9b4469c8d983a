// The page's one WebSocket, which reconnects by itself, and the server's clock.

import { emit } from "./events.js";
import { openLogin, ROOT, serverTime } from "./rest.js";

const PING_MS = 20_000;
const MAX_OFFSET_MS = 1500;
/** @type {(() => void)[]} */
const openListeners = [];
/** @type {WebSocket | null} */
let socket = null;
/** @type {"connecting" | "live" | "lost"} */
let state = "connecting";
let attempts = 0;
let retrying = 0;
let offset = 0;
let lastFrameAt = Date.now();

/** Sends a frame; without a connection it is dropped. @param {object} frame */
export function send(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

/** Calls `listener` each time a connection opens, and now if there is one. @param {() => void} listener */
export function onOpen(listener) {
  openListeners.push(listener);
  if (socket?.readyState === WebSocket.OPEN) listener();
}

/** Tries at once to connect, where the next try is still to come. */
export function reconnect() {
  if (socket?.readyState !== WebSocket.CLOSED) return;
  clearTimeout(retrying);
  connect();
}

/** Whether there is a connection; each change is the event "state". */
export const connectionState = () => state;

/** The server's time in milliseconds. */
export const now = () => Date.now() + offset;

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}${ROOT}/ws?door=console`);
  socket.addEventListener("open", () => {
    attempts = 0;
    lastFrameAt = Date.now();
    setState("live");
    measureClock();
    for (const listener of openListeners) listener();
  });
  socket.addEventListener("message", (message) => {
    lastFrameAt = Date.now();
    const frame = JSON.parse(message.data);
    emit(frame.type, frame);
    emit("*", frame);
  });
  socket.addEventListener("close", (event) => {
    if (event.reason === "unauthorized") { openLogin(); return; }
    setState("lost");
    attempts += 1;
    retrying = setTimeout(connect, Math.min(5000, 250 * 2 ** Math.min(attempts, 5)) * (0.7 + Math.random() * 0.6));
  });
}

/** @param {"live" | "lost"} changed */
function setState(changed) {
  state = changed;
  emit("state", changed);
}

async function measureClock() {
  const before = Date.now();
  const server = await serverTime();
  if (server === null) return;
  const measured = server - (before + Date.now()) / 2;
  offset = Math.abs(measured) > MAX_OFFSET_MS ? measured : 0;
}

// A connection can be dead without having been closed: without an answer to a ping it is closed here.
setInterval(() => {
  if (socket?.readyState !== WebSocket.OPEN) return;
  if (Date.now() - lastFrameAt > 2.5 * PING_MS) socket.close();
  else send({ type: "ping" });
}, PING_MS);

connect();
