// The Replay tab: the steps of the open conversation, and the current step.

import { effectList } from "../approvals/effect.js";
import { setAddress } from "../shell/address.js";
import { closest, find, messageOf, showError } from "../shell/dom.js";
import { emit, on } from "../shell/events.js";
import { register } from "../shell/mounts.js";
import { request, requestPage } from "../shell/rest.js";
import { onTab } from "../shell/tabs.js";
import { makeStep } from "./step.js";
import { Timeline } from "./timeline.js";

const PHONE = "(max-width: 860px)";
/** @type {{threadId: string, outline: Outline | null, place: number, scroll: boolean, opening: number, isArriving: boolean}} */
const current = { threadId: "", outline: null, place: 0, scroll: false, opening: 0, isArriving: false };
/** @type {Timeline | null} */
let timeline = null;

/** @param {string} threadId */
const pathOf = (threadId) => `/replay/${encodeURIComponent(threadId)}`;

/** The recorded step at a place, counted from 0; null past the end. @param {number} place @returns {Promise<Step | null>} */
export const stepAt = async (place) => (timeline && place < (current.outline?.steps ?? 0) ? timeline.step(place) : null);

/** Changes something above the steps without moving them on the screen. @param {() => void} change */
export const keepInPlace = (change) => (timeline ? timeline.keepInPlace(change) : change());

/**
 * The approval request that was decided at a place.
 * @param {string} approvalId
 * @param {number} place
 */
export async function requestStep(approvalId, place) {
  for (const number of (current.outline?.approvals ?? []).filter((one) => one <= place).reverse()) {
    const step = await stepAt(number - 1);
    if (step?.approval_id === approvalId) return step;
  }
  return null;
}

register("replay", (root) => {
  const [problem, steps, stepper, position, list, placeholder] = [".ss-steps > .ss-problem", ".ss-steps", ".ss-stepper",
    ".ss-place", ".ss-timeline", ".ss-choose"].map((selector) => find(root, selector));
  const slider = find(root, ".ss-stepper input[type=range]", HTMLInputElement);

  /** @param {string} threadId @param {{step?: number, isReload?: boolean}} options step: counted from 1 */
  async function open(threadId, { step = 1, isReload = false } = {}) {
    if (threadId !== current.threadId || !current.outline) setAddress({ replay: threadId, step: step > 1 ? String(step) : "" });
    current.threadId = threadId;
    emit("replay_opening", threadId);
    const opening = ++current.opening;
    steps.setAttribute("aria-busy", "true");
    try {
      /** @type {Outline} */
      const outline = await request("GET", `${pathOf(threadId)}/outline`);
      // Another conversation was opened in the meantime.
      if (current.opening !== opening) return;
      if (isReload && current.outline?.started_at === outline.started_at) extend(outline);
      else show(outline, Math.min(outline.steps, Math.max(1, step)) - 1);
      showError(problem, "");
    } catch (error) {
      if (current.opening === opening) {
        showError(problem, `Couldn't load this conversation: ${messageOf(error)}`, () => open(threadId, { step, isReload }));
      }
    } finally {
      if (current.opening === opening) steps.removeAttribute("aria-busy");
    }
  }

  /** @param {Outline} outline @param {number} place */
  function show(outline, place) {
    Object.assign(current, { outline, place: 0 });
    placeholder.hidden = true;
    stepper.hidden = false;
    list.classList.add("ss-whole");
    timeline?.show(outline);
    emit("replay_shown", { threadId: current.threadId, outline });
    if (matchMedia(PHONE).matches || steps.getBoundingClientRect().top < 0) steps.scrollIntoView({ block: "start" });
    steps.focus({ preventScroll: true });
    goTo(place, { scroll: place > 0 });
  }

  function close() {
    Object.assign(current, { threadId: "", outline: null, place: 0, opening: current.opening + 1 });
    placeholder.hidden = false;
    stepper.hidden = true;
    for (const part of steps.querySelectorAll(".ss-thread, .ss-jumps")) part.replaceChildren();
    list.replaceChildren();
    emit("replay_opening", "");
  }

  /** Adds new steps after a reload; place and focus stay. @param {Outline} outline */
  function extend(outline) {
    current.outline = outline;
    timeline?.grow(outline);
    emit("replay_shown", { threadId: current.threadId, outline });
    goTo(current.place, { scroll: false });
  }

  /** @param {number} place @param {{scroll?: boolean}} options */
  function goTo(place, { scroll = true } = {}) {
    if (!current.outline) return;
    const [before, last] = [current.place, current.outline.steps - 1];
    current.place = Math.max(0, Math.min(last, place));
    // Later steps are dimmed only after somebody has started to step.
    if (current.place !== before) list.classList.remove("ss-whole");
    emit("replay_at", current.place);
    showPosition(last);
    current.scroll = scroll;
    arrive();
  }

  /** @param {number} last */
  function showPosition(last) {
    slider.max = String(last + 1);
    slider.value = String(current.place + 1);
    position.textContent = `Step ${(current.place + 1).toLocaleString("en")} of ${(last + 1).toLocaleString("en")}`;
    for (const button of /** @type {NodeListOf<HTMLElement>} */ (stepper.querySelectorAll("button[data-to]"))) {
      const isBack = button.dataset.to === "first" || button.dataset.to === "back";
      // Not `disabled`, which would take the focus away, and the arrow keys with it.
      button.setAttribute("aria-disabled", String(current.place === (isBack ? 0 : last)));
    }
  }

  /** Loads and shows the current step. If the place changes while it loads, the last one wins. */
  async function arrive() {
    if (current.isArriving || !timeline) return;
    current.isArriving = true;
    try {
      let place = -1;
      let outline = null;
      let element = null;
      while (place !== current.place || outline !== current.outline) {
        [place, outline] = [current.place, current.outline];
        element = await timeline.element(place);
      }
      timeline.mark(place);
      if (current.scroll && element) scrollTo(element);
    } catch (error) {
      showError(problem, `Couldn't load this step: ${messageOf(error)}`);
    } finally {
      current.isArriving = false;
    }
  }

  /** @param {Element} element */
  function scrollTo(element) {
    const { top, bottom } = element.getBoundingClientRect();
    const isFar = bottom < -innerHeight || top > 2 * innerHeight;
    element.scrollIntoView({ block: isFar ? "start" : "nearest" });
  }

  /** @type {Record<string, () => void>} */
  const moves = {
    first: () => goTo(0), back: () => goTo(current.place - 1),
    on: () => goTo(current.place + 1), last: () => goTo((current.outline?.steps ?? 1) - 1),
  };
  /** @type {Record<string, string>} */
  const keys = { ArrowLeft: "back", ArrowUp: "back", ArrowRight: "on", ArrowDown: "on", Home: "first", End: "last" };

  timeline = new Timeline(list, {
    read: (after, count) => request("GET", `${pathOf(current.threadId)}?after=${after}&limit=${count}`),
    make: (step, place) => makeStep(step, {
      start: Date.parse(current.outline?.started_at ?? step.at), place, choose: () => goTo(place, { scroll: false }),
    }),
    filled: showEffects,
  });
  slider.addEventListener("input", () => goTo(Number(slider.value) - 1));
  stepper.addEventListener("click", (event) => moves[closest(event, "button")?.dataset.to ?? ""]?.());
  steps.addEventListener("keydown", (event) => {
    const isFree = !closest(event, "input, select, textarea, summary, pre");
    if (!isFree || event.altKey || event.ctrlKey || event.metaKey || !keys[event.key]) return;
    event.preventDefault();
    moves[keys[event.key]]();
  });
  onTab("Replay", () => { if (current.threadId) open(current.threadId, { isReload: true }); });
  on("replay_open", ({ threadId, step }) => open(threadId, { step }));
  on("replay_go", (place) => goTo(place));
  on("replay_closed", close);
});

/** Ids are null where there are too many to list. @type {{threadId: string, ids: Promise<Set<string> | null>}} */
let approvals = { threadId: "", ids: Promise.resolve(null) };

/** The approvals of the open conversation that have a history; generated conversations have none. */
function knownApprovals() {
  const { threadId } = current;
  if (approvals.threadId !== threadId) {
    const query = new URLSearchParams({ q: threadId, limit: "100" });
    approvals = { threadId, ids: requestPage("GET", `/approvals?${query}`).then(({ data, meta }) =>
      (meta.next_cursor ? null : new Set(data.map((/** @type {Approval} */ one) => one.approval_id)))).catch(() => null) };
  }
  return approvals.ids;
}

/**
 * Shows the changes of approvals, which their history has and the conversation's events do not.
 * @param {Step[]} steps
 * @param {HTMLElement[]} elements
 */
async function showEffects(steps, elements) {
  for (const [index, step] of steps.entries()) {
    const kind = step.type === "interrupt" ? "requested" : step.outcome === "edited" ? "decided" : null;
    if (!kind) continue;
    const known = await knownApprovals();
    if (known && !known.has(step.approval_id)) continue;
    /** @type {HistoryEntry[]} */
    const history = await request("GET", `/approvals/${encodeURIComponent(step.approval_id)}/history`).catch(() => []);
    const element = elements[index];
    if (!element.isConnected) return;
    const changes = effectList(history.find((one) => one.kind === kind)?.detail.effect, "Changes");
    if (changes) keepInPlace(() => element.querySelector(".ss-fields, details")?.before(changes));
  }
}
