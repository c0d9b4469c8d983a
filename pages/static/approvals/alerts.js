// New approvals outside the page: notifications of the desktop, and a sound. Both are off until somebody turns them on,
// in this browser. Of several windows one alerts: the first to write an approval's id into the browser's storage, under
// a lock. A notification has the approval's title and nothing from its conversation.

import { actionButton, find, node } from "../shell/dom.js";
import { emit, on } from "../shell/events.js";
import { humanize, plural, timeOfDay } from "../shell/format.js";
import { openTab } from "../shell/tabs.js";
import { register } from "../shell/mounts.js";
import { ROOT } from "../shell/rest.js";
import { pending } from "./pending.js";

const SETTINGS_KEY = "ss-alerts";
const ALERTED_KEY = "ss-alerted";
const MAX_ALERTED = 500;
/** More than this many at once are one notification. */
const MOST_AT_ONCE = 3;
/** How long windows that nobody looks at let one that somebody looks at go first. */
const YIELD_MS = 200;
const [NOTE_SECONDS, NOTES_HZ] = [0.14, [660, 880]];
/** @type {Record<string, string>} */
const RISK = { low: "Low risk", medium: "Medium risk", high: "High risk" };
/** What this window knows of: the first list after it was opened alerts nobody. @type {Set<string> | null} */
let known = null;
/** @type {Map<string, Notification>} */
const shown = new Map();
/** @type {AudioContext | null} */
let audio = null;

/** @param {string} key @param {any} otherwise */
function stored(key, otherwise) {
  try { return JSON.parse(localStorage.getItem(key) ?? "") ?? otherwise; } catch { return otherwise; }
}

/** @param {string} key @param {any} value */
function store(key, value) {
  try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* it lasts until the page is left */ }
}

/** @returns {{notify: boolean, sound: boolean}} */
const settings = () => ({ notify: false, sound: false, ...stored(SETTINGS_KEY, {}) });

// Browsers offer both to pages that came by TLS or from the same machine only.
const isOffered = () => "Notification" in window && window.isSecureContext;
const isAllowed = () => isOffered() && Notification.permission === "granted";

/** The ids that no other window of this browser has alerted about. @param {string[]} ids */
async function claim(ids) {
  if (!document.hasFocus()) await new Promise((resolve) => { setTimeout(resolve, YIELD_MS); });
  const take = () => {
    /** @type {string[]} */
    const before = stored(ALERTED_KEY, []);
    const fresh = ids.filter((id) => !before.includes(id));
    store(ALERTED_KEY, [...before, ...fresh].slice(-MAX_ALERTED));
    return fresh;
  };
  return navigator.locks ? navigator.locks.request(ALERTED_KEY, take) : take();
}

async function alertOfNew() {
  const ids = pending.all().map((one) => one.approval_id);
  const before = known;
  known = new Set(ids);
  const { notify, sound } = settings();
  const fresh = before === null ? [] : ids.filter((id) => !before.has(id));
  if (fresh.length === 0 || document.body.dataset.role === "operator" || !(notify || sound)) return;
  const claimed = (await claim(fresh)).map((id) => pending.get(id)).filter((one) => one !== undefined);
  if (claimed.length === 0) return;
  if (sound) play();
  // Whoever looks at the console sees the card itself.
  if (notify && isAllowed() && !document.hasFocus()) show(claimed);
}

/** @param {Approval[]} approvals */
function show(approvals) {
  if (approvals.length > MOST_AT_ONCE) {
    const notice = new Notification(`${plural(approvals.length, "new approval")}`, { tag: "ss-many", icon: icon() });
    notice.onclick = () => { window.focus(); emit("show_approvals", undefined); notice.close(); };
    return;
  }
  for (const approval of approvals) {
    const { approval_id: id, action, risk, expires_at: expires } = approval;
    const body = `${RISK[risk]}. Expires at ${timeOfDay(Date.parse(expires))}.`;
    const notice = new Notification(`Approve: ${humanize(action)}?`, { body, tag: id, icon: icon() });
    notice.onclick = () => {
      window.focus();
      openTab("Console");
      emit("show_approval", id);
      notice.close();
    };
    notice.onclose = () => shown.delete(id);
    shown.set(id, notice);
  }
}

const icon = () => `${ROOT}/console/favicon.svg`;

/** Takes back the notifications of what was decided meanwhile. */
function closeDecided() {
  for (const [id, one] of shown) if (!pending.get(id)) one.close();
}

/** Two short notes. Without a click in this page, a browser may keep it silent. */
function play() {
  audio ??= new AudioContext();
  const { currentTime: start, destination } = audio;
  NOTES_HZ.forEach((pitch, place) => {
    if (!audio) return;
    const [tone, volume] = [audio.createOscillator(), audio.createGain()];
    const begin = start + place * NOTE_SECONDS;
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.12, begin);
    volume.gain.exponentialRampToValueAtTime(0.001, begin + NOTE_SECONDS);
    tone.connect(volume).connect(destination);
    tone.start(begin);
    tone.stop(begin + NOTE_SECONDS);
  });
  audio.resume().catch(() => {});
}

function openDialog() {
  const { notify, sound } = settings();
  const problem = node("p", { class: "ss-note ss-note--red", role: "alert", hidden: true });
  const notifyBox = node("input", { type: "checkbox", checked: notify && isAllowed(), disabled: !isOffered() });
  const soundBox = node("input", { type: "checkbox", checked: sound });
  const save = () => { store(SETTINGS_KEY, { notify: notifyBox.checked, sound: soundBox.checked }); showState(); };
  notifyBox.addEventListener("change", async () => {
    problem.hidden = true;
    if (notifyBox.checked && await Notification.requestPermission() !== "granted") {
      notifyBox.checked = false;
      problem.textContent = "Your browser blocks notifications of this site. Allow them in its settings for this site.";
      problem.hidden = false;
    }
    save();
  });
  soundBox.addEventListener("change", () => { save(); if (soundBox.checked) play(); });
  const dialog = node("dialog", { class: "ss-card ss-dialog", "aria-labelledby": "ss-alerts-title" },
    node("h2", { id: "ss-alerts-title" }, "Alerts for new approvals"),
    node("p", {}, "In this browser, while the console is open in a tab."),
    node("label", { class: "ss-alert-choice" }, notifyBox, "Desktop notifications while you look elsewhere"),
    isOffered() ? null : node("p", { class: "ss-alert-hint" }, "Your browser offers them over https only."),
    node("label", { class: "ss-alert-choice" }, soundBox, "Sound"), problem,
    node("div", { class: "ss-actions" }, actionButton("Done", "accent", () => dialog.close())));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  document.body.append(dialog);
  dialog.showModal();
}

/** Says on the button what is on, also to screen readers. */
function showState() {
  const button = document.getElementById("ss-alerts");
  if (!button) return;
  const { notify, sound } = settings();
  const on = [notify && isAllowed() ? "notifications" : "", sound ? "sound" : ""].filter(Boolean);
  button.textContent = on.length ? "Alerts on" : "Alerts off";
  button.title = on.length ? `New approvals: ${on.join(" and ")}` : "Turn on notifications or a sound for new approvals";
}

register("alerts", (element) => {
  find(element, "#ss-alerts").addEventListener("click", openDialog);
  on("pending_changed", () => {
    if (!pending.isLoaded) return;
    closeDecided();
    void alertOfNew();
  });
  addEventListener("storage", (event) => { if (event.key === SETTINGS_KEY) showState(); });
  showState();
});
