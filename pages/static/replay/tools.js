// What can be done with the open conversation: play it, copy a link to a step, download it.

import { find } from "../shell/dom.js";
import { emit, emitWhenReady, on } from "../shell/events.js";
import { register } from "../shell/mounts.js";
import { ROOT } from "../shell/rest.js";
import { openTabWhenReady } from "../shell/tabs.js";
import { stepAt } from "./replay.js";

const MAX_PAUSE_MS = 1200;
const MIN_PAUSE_MS = 150;
const COPIED_MS = 2000;

// A link to a step: /?thread=…&step=…#replay
const link = new URLSearchParams(location.search);
const linkedThread = link.get("thread");
if (location.hash === "#replay" && linkedThread) {
  emitWhenReady("replay_open", { threadId: linkedThread, step: Number(link.get("step")) || 1 });
  openTabWhenReady("Replay");
}

register("replay_tools", (root) => {
  const [button, toolbar, share] = [".ss-play", ".ss-takeaway", ".ss-share"].map((selector) => find(root, selector));
  const [json, test] = [".ss-json", ".ss-test"].map((selector) => find(root, selector, HTMLAnchorElement));
  let threadId = "";
  let place = 0;
  let isPlaying = false;
  let timer = 0;

  /** @param {boolean} isOn */
  function setPlaying(isOn) {
    isPlaying = isOn;
    clearTimeout(timer);
    button.textContent = isOn ? "❚❚ Pause" : "▶ Play";
    button.setAttribute("aria-pressed", String(isOn));
  }

  /** Goes to the next step after the recorded pause, within limits. */
  async function playNext() {
    const [step, next] = await Promise.all([stepAt(place), stepAt(place + 1)]).catch(() => []);
    if (!isPlaying) return; // paused in the meantime
    if (!step || !next) { setPlaying(false); return; }
    const pause = Date.parse(next.at) - Date.parse(step.at);
    timer = setTimeout(() => {
      emit("replay_go", place + 1);
      playNext();
    }, Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, pause)));
  }

  async function togglePlaying() {
    if (isPlaying) { setPlaying(false); return; }
    setPlaying(true);
    // At the end it starts again.
    if (await stepAt(place + 1) === null) emit("replay_go", 0);
    playNext();
  }

  async function copyLink() {
    const query = new URLSearchParams({ thread: threadId, ...(place ? { step: String(place + 1) } : {}) });
    const address = `${location.origin}${ROOT}/?${query}#replay`;
    try {
      await navigator.clipboard.writeText(address);
      share.textContent = "Copied";
    } catch {
      // Browsers refuse the clipboard to pages without https.
      prompt("Link to this step", address);
    }
    setTimeout(() => { share.textContent = "Copy link"; }, COPIED_MS);
  }

  on("replay_shown", (shown) => {
    if (shown.threadId !== threadId) setPlaying(false);
    threadId = shown.threadId;
    const path = `${ROOT}/api/v1/replay/${encodeURIComponent(threadId)}`;
    toolbar.hidden = false;
    json.href = `${path}/all`;
    test.href = `${path}/test`;
  });
  on("replay_at", (at) => { place = at; });
  button.addEventListener("click", togglePlaying);
  share.addEventListener("click", copyLink);
});
