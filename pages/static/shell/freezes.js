// The bar that says what is frozen, on every page, and the dialogs to freeze and to unfreeze.

import { onOpen, send } from "./connection.js";
import { openDialog } from "./dialog.js";
import { actionButton, find, node, prose, value } from "./dom.js";
import { emit, on } from "./events.js";
import { agentTitle, humanize, plural, timeOfDay } from "./format.js";
import { register } from "./mounts.js";
import { request } from "./rest.js";

const DAY_MS = 86_400_000;
const MAX_REASON_CHARS = 500;
// How long after an approval has changed the numbers in the bar are read again.
const COUNT_MS = 500;
/** @type {User["role"]} */
let role = "operator";
/** @type {Freeze[]} */
let freezes = [];
/** @type {ReturnType<typeof setTimeout> | undefined} */
let counting;

/** The freeze that holds an approval's call, if there is one. @param {Approval} approval */
export function freezeOf(approval) {
  const caller = typeof approval.caller === "object" ? approval.caller?.name : undefined;
  const scopes = ["all", `agent:${approval.agent}`, `tool:${approval.action}`, `caller:${caller}`];
  return freezes.find((freeze) => scopes.includes(freeze.scope));
}

/**
 * How many milliseconds are left to decide; while a call is frozen they stay the same.
 * @param {Approval} approval
 * @param {number} now
 */
export const timeLeft = (approval, now) =>
  Date.parse(approval.expires_at) - (approval.paused_at ? Date.parse(approval.paused_at) : now);

/** @param {string} scope */
function nameOf(scope) {
  const [kind, name] = [scope.slice(0, scope.indexOf(":")), scope.slice(scope.indexOf(":") + 1)];
  if (kind === "agent") return `Writes of ${agentTitle(name)}`;
  if (kind === "caller") return `Writes of ${name} (API client)`;
  return kind === "tool" ? `${humanize(name)}` : "All writes";
}

/** @param {Freeze} freeze */
const verb = (freeze) => (freeze.scope.startsWith("tool:") ? "is frozen" : "are frozen");

/** `14:02`, with the date where that was not in the last day. @param {string} since */
function timeOf(since) {
  const time = Date.parse(since);
  const date = Date.now() - time < DAY_MS ? "" : `${new Date(time).toLocaleDateString(undefined, { day: "numeric", month: "short" })}, `;
  return `${date}${timeOfDay(time)}`;
}

/** @param {Freeze} freeze */
const held = (freeze) =>
  `${plural(freeze.parked, "approved write")} on hold, ${plural(freeze.paused, "approval")} paused`;

/** @param {Freeze} freeze */
function line(freeze) {
  const lift = actionButton("Unfreeze…", "red", () => askToLift(freeze));
  lift.setAttribute("aria-label", `Unfreeze: ${nameOf(freeze.scope)}`);
  return node("div", { class: "ss-freeze", "data-scope": freeze.scope },
    node("span", { class: "ss-freeze-sign", "aria-hidden": "true" }, "❄"),
    node("span", { class: "ss-freeze-text" },
      node("b", {}, value(nameOf(freeze.scope)), ` ${verb(freeze)}`), " by ", value(freeze.by),
      ` since ${timeOf(freeze.since)}: `, prose(freeze.reason)),
    node("span", { class: "ss-freeze-held" }, held(freeze)),
    role === "admin" ? lift : null);
}

function draw() {
  const bar = document.getElementById("ss-freezes");
  if (!bar) return;
  const focused = document.activeElement?.closest(".ss-freeze");
  const scope = focused instanceof HTMLElement ? focused.dataset.scope : undefined;
  bar.replaceChildren(...freezes.map(line));
  bar.hidden = freezes.length === 0;
  document.body.classList.toggle("ss-frozen", freezes.some((freeze) => freeze.scope === "all"));
  for (const element of bar.children) {
    if (element instanceof HTMLElement && element.dataset.scope === scope) element.querySelector("button")?.focus();
  }
}

/** @param {Freeze} freeze */
function askToLift(freeze) {
  const text = `${plural(freeze.parked, "approved write")} will be checked again and then run. The time of ${
    plural(freeze.paused, "approval")} goes on.`;
  openDialog(`Unfreeze: ${nameOf(freeze.scope)}`, node("p", {}, text), "Unfreeze", async () => {
    await request("DELETE", `/freeze/${encodeURIComponent(freeze.scope)}`);
  });
}

/** @returns {Promise<{name: string, access: string}[]>} */
const tools = () => request("GET", "/tools").catch(() => []);
/** @returns {Promise<CallerStatus[]>} */
const callers = () => request("GET", "/callers").catch(() => []);

async function askToFreeze() {
  const [allTools, allCallers] = await Promise.all([tools(), callers()]);
  const choice = node("select", { id: "ss-freeze-scope" }, node("option", { value: "all" }, "All writes"),
    Object.entries(window.ssConfig.agents).map(([name, title]) =>
      node("option", { value: `agent:${name}` }, `Writes of ${title}`)),
    allTools.filter((tool) => tool.access === "write").map((tool) =>
      node("option", { value: `tool:${tool.name}` }, `${humanize(tool.name)}`)),
    allCallers.map(({ name }) => node("option", { value: `caller:${name}` }, `Writes of ${name} (API client)`)));
  const reason = node("input", { id: "ss-freeze-reason", required: true, maxlength: String(MAX_REASON_CHARS),
    autocomplete: "off" });
  const content = node("div", { class: "ss-dialog-form" },
    node("p", {}, "Nothing that is frozen is changed until an admin unfreezes it. What is approved meanwhile runs then."),
    node("label", { for: "ss-freeze-scope" }, "What to freeze"), choice,
    node("label", { for: "ss-freeze-reason" }, "Reason (shown to colleagues)"), reason);
  openDialog("Freeze writes", content, "Freeze", async () => {
    await request("POST", "/freeze", { scope: choice.value, reason: reason.value });
  });
}

/** Reads the numbers of approvals again, a little after they have changed. */
function countSoon() {
  if (freezes.length === 0 || counting) return;
  counting = setTimeout(() => { counting = undefined; send({ type: "watch_freezes" }); }, COUNT_MS);
}

register("freezes", (element) => {
  const button = find(element, "#ss-freeze");
  button.addEventListener("click", () => { askToFreeze(); });
  on("me", (user) => {
    role = user.role;
    button.hidden = role === "operator";
    draw();
  });
  on("freezes", ({ items }) => {
    const known = freezes.map((freeze) => freeze.scope + freeze.since).join();
    const isChanged = known !== items.map((freeze) => freeze.scope + freeze.since).join();
    freezes = items;
    draw();
    // Their times have stopped, or go on.
    if (isChanged && role !== "operator") emit("request_pending", undefined);
  });
  on("approval", countSoon);
  onOpen(() => send({ type: "watch_freezes" }));
});
