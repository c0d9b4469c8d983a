// A line about the open conversation, and shortcuts within it: problems, approvals, escalations, a search.

import { find, messageOf, node } from "../shell/dom.js";
import { emit, on } from "../shell/events.js";
import { plural } from "../shell/format.js";
import { register } from "../shell/mounts.js";
import { request } from "../shell/rest.js";

/** @type {["failed" | "approvals" | "escalations", string, string][]} */
const KINDS = [["failed", "problem", "red"], ["approvals", "approval", "amber"], ["escalations", "escalation", "red"]];
/** @type {Record<string, string>} */
const CHANNELS = { socket: "WebSocket", rest: "REST", gradio: "Gradio", console: "Console", mcp: "MCP", system: "System" };
let threadId = "";
let currentPlace = 0;

/** @param {number} count */
const format = (count) => count.toLocaleString("en");

/** @param {string} id @param {Outline} outline */
function summary(id, { started_at: start, channels, messages, tokens, cost_usd: cost }) {
  return [node("b", {}, `Conversation ${id}`), node("span", {}, [
    ` · ${start.slice(0, 16).replace("T", " ")} UTC`,
    channels.length ? ` · via ${channels.map((name) => CHANNELS[name] ?? name).join(", ")}` : "",
    ` · ${plural(messages, "message")}`,
    ` · ${format(tokens.input)} tokens in, ${format(tokens.output)} out`,
    cost ? ` · $${cost.toFixed(4)}` : "",
  ].join(""))];
}

/**
 * Goes to the next of these places (counted from 1), from the last to the first. Returns which of them it is.
 * @param {number[]} places
 * @param {boolean} isBack goes to the previous one
 */
function goToNext(places, isBack = false) {
  const current = currentPlace + 1;
  const next = isBack ? places.findLast((place) => place < current) ?? places[places.length - 1]
    : places.find((place) => place > current) ?? places[0];
  emit("replay_go", next - 1);
  return places.indexOf(next) + 1;
}

/** @param {string} noun @param {string} color @param {number[]} places */
function jump(noun, color, places) {
  const label = plural(places.length, noun);
  const button = node("button", { type: "button", class: `ss-chip ss-chip--${color}`, title: "Go to the next one", onclick: () => {
    const index = goToNext(places);
    if (places.length > 1) button.textContent = `${format(index)} of ${label}`;
  } }, label);
  return button;
}

register("replay_jumps", (root) => {
  const [line, jumps, status] = [".ss-thread", ".ss-jumps", ".ss-search-status"].map((selector) => find(root, selector));
  const form = find(root, ".ss-within", HTMLFormElement);
  const field = find(form, "input", HTMLInputElement);
  let searched = "";
  /** @type {number[]} */
  let matches = [];

  /** @param {boolean} isBack */
  async function search(isBack) {
    const text = field.value.trim();
    if (!text) return;
    try {
      if (text !== searched) {
        const outline = await request("GET", `/replay/${encodeURIComponent(threadId)}/outline?q=${encodeURIComponent(text)}`);
        if (field.value.trim() !== text) return; // the text was changed in the meantime
        [searched, matches] = [text, outline.found];
      }
      status.textContent = matches.length ? `${format(goToNext(matches, isBack))} of ${format(matches.length)}` : "No matches";
    } catch (error) {
      status.textContent = messageOf(error);
    }
  }

  on("replay_shown", (shown) => {
    if (shown.threadId !== threadId) { form.reset(); status.textContent = ""; }
    threadId = shown.threadId;
    searched = "";
    line.replaceChildren(...summary(threadId, shown.outline));
    jumps.replaceChildren(...KINDS.filter(([kind]) => shown.outline[kind].length)
      .map(([kind, noun, color]) => jump(noun, color, shown.outline[kind])));
  });
  on("replay_at", (place) => { currentPlace = place; });
  form.addEventListener("submit", (event) => { event.preventDefault(); search(false); });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.shiftKey) return;
    event.preventDefault();
    search(true);
  });
  field.addEventListener("input", () => { status.textContent = ""; });
});
