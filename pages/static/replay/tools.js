// What can be done with the open conversation: play it, copy a link to a step, download it.

import { addressPart, setAddress } from "../shell/address.js";
import { find } from "../shell/dom.js";
import { emit, emitWhenReady, on } from "../shell/events.js";
import { register } from "../shell/mounts.js";
import { ROOT } from "../shell/rest.js";
import { openTabWhenReady } from "../shell/tabs.js";
import { stepAt } from "./replay.js";

const MAX_PAUSE_MS = 1200;
const MIN_PAUSE_MS = 150;
const COPIED_MS = 2000;

// A link to a step: /?tab=replay&replay=…&step=…, or in older links /?thread=…&step=…#replay
const linkedThread = location.hash === "#replay" ? new URLSearchParams(location.search).get("thread") : addressPart("replay");
if (linkedThread) {
  emitWhenReady("replay_open", { threadId: linkedThread, step: Number(addressPart("step")) || 1 });
  if (location.hash === "#replay") openTabWhenReady("Replay");
}
addEventListener("popstate", () => {
  const threadId = addressPart("replay");
  if (threadId) emitWhenReady("replay_open", { threadId, step: Number(addressPart("step")) || 1 });
  else emit("replay_closed", undefined);
});

register("replay_tools", (root) => {
  const [button, toolbar, share] = [".ss-play", ".ss-takeaway", ".ss-share"].map((selector) => find(root, selector));
  const [json, test, live] = [".ss-json", ".ss-test", ".ss-live-conversation"].map((selector) => find(root, selector, HTMLAnchorElement));
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
    const query = new URLSearchParams({ tab: "replay", replay: threadId, ...(place ? { step: String(place + 1) } : {}) });
    const address = `${location.origin}${ROOT}/?${query}`;
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
    live.href = `${ROOT}/?${new URLSearchParams({ thread: threadId })}`;
  });
  on("replay_closed", () => { setPlaying(false); toolbar.hidden = true; });
  on("replay_at", (at) => {
    place = at;
    setAddress({ replay: threadId, step: at ? String(at + 1) : "" }, { isNew: false });
  });
  button.addEventListener("click", togglePlaying);
  share.addEventListener("click", copyLink);
});
