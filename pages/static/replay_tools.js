// What can be done with the conversation on show: play it, hand its address on, take it along.

import { on, register, tell } from "./shell.js";

const LONGEST_MS = 1200;
const SHORTEST_MS = 150;
const playing = { timer: null, place: 0, steps: [] };

function pause(button) {
  clearTimeout(playing.timer);
  playing.timer = null;
  button.textContent = "▶ Play";
  button.setAttribute("aria-pressed", "false");
}

/** Steps follow as they did, but none waits longer than somebody who looks on would. */
function goOn(button) {
  const [here, next] = [playing.steps[playing.place], playing.steps[playing.place + 1]];
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
  if (playing.place >= playing.steps.length - 1) tell("replay_go", 0);
  goOn(button);
}

async function share(button, threadId) {
  const address = `${location.origin}/?thread=${encodeURIComponent(threadId)}#replay`;
  try {
    await navigator.clipboard.writeText(address);
    button.textContent = "Copied";
  } catch {
    // Browsers keep the clipboard from pages that are not on https: the address itself will do.
    prompt("The address of this conversation", address);
  }
  setTimeout(() => { button.textContent = "Copy link"; }, 2000);
}

register("replay_tools", (root) => {
  const find = (name) => root.querySelector(name);
  const [button, tools] = [find(".ss-play"), find(".ss-takeaway")];
  let threadId = null;
  on("replay_shown", (shown) => {
    pause(button);
    threadId = shown.threadId;
    playing.steps = shown.steps;
    const path = `/api/v1/replay/${encodeURIComponent(threadId)}`;
    tools.hidden = false;
    find(".ss-json").href = path;
    find(".ss-test").href = `${path}/test`;
  });
  on("replay_at", (place) => { playing.place = place; });
  button.addEventListener("click", () => play(button));
  find(".ss-share").addEventListener("click", (event) => share(event.target, threadId));
});
