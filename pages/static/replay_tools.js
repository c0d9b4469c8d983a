// What can be done with the conversation on show: play it, hand its address on, take it along.

import { on, openTabSoon, register, tell, tellWhenThere } from "./shell.js";
import { stepAt } from "./replay.js";

const LONGEST_MS = 1200;
const SHORTEST_MS = 150;
const playing = { timer: null, place: 0 };

// An address that was handed on: /?thread=…&step=…#replay
const linked = new URLSearchParams(location.search);
if (location.hash === "#replay" && linked.get("thread")) {
  tellWhenThere("replay_open", { threadId: linked.get("thread"), step: Number(linked.get("step")) || 1 });
  openTabSoon("Replay");
}

function pause(button) {
  clearTimeout(playing.timer);
  playing.timer = null;
  button.textContent = "▶ Play";
  button.setAttribute("aria-pressed", "false");
}

/** Steps follow as they did, but none waits longer than somebody who looks on would. */
async function goOn(button) {
  const [here, next] = await Promise.all([stepAt(playing.place), stepAt(playing.place + 1)]).catch(() => []);
  if (!playing.timer) return; // it was stopped meanwhile
  if (!next) { pause(button); return; }
  const gap = Date.parse(next.at) - Date.parse(here.at);
  playing.timer = setTimeout(() => {
    tell("replay_go", playing.place + 1);
    goOn(button);
  }, Math.min(LONGEST_MS, Math.max(SHORTEST_MS, gap)));
}

function play(button) {
  if (playing.timer) { pause(button); return; }
  button.textContent = "❚❚ Pause";
  button.setAttribute("aria-pressed", "true");
  playing.timer = -1;
  if (!stepAt(playing.place + 1)) tell("replay_go", 0);
  goOn(button);
}

async function share(button, threadId) {
  const query = new URLSearchParams({ thread: threadId, ...(playing.place ? { step: playing.place + 1 } : {}) });
  const address = `${location.origin}/?${query}#replay`;
  try {
    await navigator.clipboard.writeText(address);
    button.textContent = "Copied";
  } catch {
    // Browsers keep the clipboard from pages that are not on https: the address itself will do.
    prompt("The address of this step", address);
  }
  setTimeout(() => { button.textContent = "Copy link"; }, 2000);
}

register("replay_tools", (root) => {
  const find = (name) => root.querySelector(name);
  const [button, tools] = [find(".ss-play"), find(".ss-takeaway")];
  let threadId = null;
  on("replay_shown", (shown) => {
    if (shown.threadId !== threadId) pause(button);
    threadId = shown.threadId;
    const path = `/api/v1/replay/${encodeURIComponent(threadId)}`;
    tools.hidden = false;
    find(".ss-json").href = `${path}/all`;
    find(".ss-test").href = `${path}/test`;
  });
  on("replay_at", (place) => { playing.place = place; });
  button.addEventListener("click", () => play(button));
  find(".ss-share").addEventListener("click", (event) => share(event.target, threadId));
});
