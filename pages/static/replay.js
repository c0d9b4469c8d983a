// The Replay tab: the steps of the chosen conversation, and at which of them somebody is. The list of
// conversations is replay_list.js's, how one step looks replay_steps.js's, how a long one is read replay_pages.js's.

import { effectLines } from "./effect.js";
import { asked } from "./rest.js";
import { on, onTab, register, tell } from "./shell.js";
import { visible } from "./text.js";
import { Timeline } from "./replay_pages.js";
import { makeStep } from "./replay_steps.js";

const part = {};
const shown = { threadId: null, outline: null, place: 0, scroll: false, opening: 0, arriving: false };
let timeline = null;

const pathOf = (threadId) => `/replay/${encodeURIComponent(threadId)}`;

/** The recorded step at a place, counted from 0; null past the end. */
export const stepAt = (place) => (place < (shown.outline?.steps ?? 0) ? timeline.step(place) : null);

/** Change something above the steps without moving what is read of them. */
export const steady = (change) => (timeline ? timeline.steady(change) : change());

/** The request that a decision, at a place, was made on. */
export async function requestOf(approvalId, place) {
  for (const at of shown.outline.approvals.filter((one) => one <= place).reverse()) {
    const step = await timeline.step(at - 1);
    if (step.approval_id === approvalId) return step;
  }
  return null;
}

async function open(threadId, { step = 1, again = false } = {}) {
  shown.threadId = threadId;
  tell("replay_opening", threadId);
  const opening = ++shown.opening;
  part.steps.setAttribute("aria-busy", "true");
  try {
    const outline = await asked("GET", `${pathOf(threadId)}/outline`);
    // Another conversation was chosen meanwhile.
    if (shown.opening !== opening) return;
    if (again && shown.outline?.started_at === outline.started_at) extend(outline);
    else show(outline, Math.min(outline.steps, Math.max(1, step)) - 1);
    tellProblem("");
  } catch (error) {
    if (shown.opening === opening) tellProblem(`This conversation could not be read: ${error.message}`);
  } finally {
    if (shown.opening === opening) part.steps.removeAttribute("aria-busy");
  }
}

function show(outline, place) {
  Object.assign(shown, { outline, place: 0 });
  part.choose.hidden = true;
  part.stepper.hidden = false;
  part.timeline.classList.add("ss-whole");
  timeline.show(outline);
  tell("replay_shown", { threadId: shown.threadId, outline });
  if (matchMedia("(max-width: 860px)").matches) part.steps.scrollIntoView({ block: "start" });
  else if (part.steps.getBoundingClientRect().top < 0) part.steps.scrollIntoView({ block: "start" });
  part.steps.focus({ preventScroll: true });
  goTo(place, { scroll: place > 0 });
}

/** Looked at again: whoever opens the tab keeps the place and the focus they had. */
function extend(outline) {
  shown.outline = outline;
  timeline.grow(outline);
  tell("replay_shown", { threadId: shown.threadId, outline });
  goTo(shown.place, { scroll: false });
}

/** Cards say what would change; the record of the conversation does not, that of the approval does. */
async function showEffects(steps, elements) {
  for (const [index, step] of steps.entries()) {
    const kind = step.type === "interrupt" ? "requested" : step.outcome === "edited" ? "decided" : null;
    if (!kind) continue;
    const history = await asked("GET", `/approvals/${encodeURIComponent(step.approval_id)}/history`).catch(() => []);
    if (!elements[index].isConnected) return;
    // As it was asked for, and as it was after the edit: each where it stood.
    const lines = effectLines(history.find((one) => one.kind === kind)?.detail.effect, "What it said would change");
    if (lines) timeline.steady(() => elements[index].querySelector(".ss-fields, details").before(lines));
  }
}

function tellProblem(text) {
  part.problem.hidden = !text;
  part.problem.textContent = visible(text);
}

function goTo(place, { scroll = true } = {}) {
  if (!shown.outline) return;
  const [before, last] = [shown.place, shown.outline.steps - 1];
  shown.place = Math.max(0, Math.min(last, place));
  // Until somebody steps through it, all of it can be read.
  if (shown.place !== before) part.timeline.classList.remove("ss-whole");
  tell("replay_at", shown.place);
  paintStepper(last);
  shown.scroll = scroll;
  arrive();
}

function paintStepper(last) {
  part.slider.max = String(last + 1);
  part.slider.value = String(shown.place + 1);
  part.place.textContent = `Step ${(shown.place + 1).toLocaleString("en")} of ${(last + 1).toLocaleString("en")}`;
  for (const button of part.stepper.querySelectorAll("button[data-to]")) {
    const back = button.dataset.to === "first" || button.dataset.to === "back";
    // Not `disabled`: that would take the focus away, and the arrow keys with it.
    button.setAttribute("aria-disabled", String(shown.place === (back ? 0 : last)));
  }
}

/** Bring the step into sight; somebody who goes on before it has been read arrives at the last one they chose. */
async function arrive() {
  if (shown.arriving) return;
  shown.arriving = true;
  try {
    let [place, outline, element] = [];
    while (place !== shown.place || outline !== shown.outline) {
      [place, outline] = [shown.place, shown.outline];
      element = await timeline.element(place);
    }
    timeline.mark(place);
    if (shown.scroll) bring(element);
  } catch (error) {
    tellProblem(`This step could not be read: ${error.message}`);
  } finally {
    shown.arriving = false;
  }
}

function bring(element) {
  const { top, bottom } = element.getBoundingClientRect();
  const far = bottom < -innerHeight || top > 2 * innerHeight;
  element.scrollIntoView({ block: far ? "start" : "nearest" });
}

const MOVES = {
  first: () => goTo(0), back: () => goTo(shown.place - 1),
  on: () => goTo(shown.place + 1), last: () => goTo(shown.outline.steps - 1),
};
const KEYS = { ArrowLeft: "back", ArrowUp: "back", ArrowRight: "on", ArrowDown: "on", Home: "first", End: "last" };

function onKey(event) {
  const free = !event.target.closest("input, select, textarea, summary, pre");
  if (!free || event.altKey || event.ctrlKey || event.metaKey || !KEYS[event.key]) return;
  event.preventDefault();
  MOVES[KEYS[event.key]]();
}

register("replay", (root) => {
  const find = (name) => root.querySelector(name);
  Object.assign(part, {
    problem: find(".ss-steps > .ss-problem"), steps: find(".ss-steps"), stepper: find(".ss-stepper"),
    slider: find(".ss-stepper input[type=range]"), place: find(".ss-place"), timeline: find(".ss-timeline"),
    choose: find(".ss-choose"),
  });
  timeline = new Timeline(part.timeline, {
    read: (after, count) => asked("GET", `${pathOf(shown.threadId)}?after=${after}&limit=${count}`),
    make: (step, place) => makeStep(step, {
      start: Date.parse(shown.outline.started_at), place, choose: () => goTo(place, { scroll: false }),
    }),
    filled: showEffects,
  });
  part.slider.addEventListener("input", () => goTo(Number(part.slider.value) - 1));
  part.stepper.addEventListener("click", (event) => MOVES[event.target.closest("button")?.dataset.to]?.());
  part.steps.addEventListener("keydown", onKey);
  onTab("Replay", () => { if (shown.threadId) open(shown.threadId, { again: true }); });
  on("replay_open", ({ threadId, step }) => open(threadId, { step }));
  on("replay_go", (place) => goTo(place));
});
