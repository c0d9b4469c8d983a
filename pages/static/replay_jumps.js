// What the conversation on show was, in a line, and the ways to what one looks for in it: where it failed, where
// somebody was asked, where certain words stand.

import { on, register, tell } from "./shell.js";
import { asked } from "./rest.js";
import { node } from "./text.js";

const KINDS = { failed: ["problem", "problems", "red"], approvals: ["approval", "approvals", "amber"],
  escalations: ["escalation", "escalations", "red"] };
const at = { threadId: null, place: 0 };
const many = (number) => number.toLocaleString("en");

/** Which it was, when, through which door, and what it took. */
function about({ threadId, outline }) {
  const { messages, tokens, channels, cost_usd: cost } = outline;
  return [node("b", {}, `Thread ${threadId}`), node("span", {}, [
    ` · ${outline.started_at.slice(0, 16).replace("T", " ")} UTC`,
    channels.length ? ` · through ${channels.join(", ")}` : "",
    ` · ${many(messages)} ${messages === 1 ? "message" : "messages"}`,
    ` · ${many(tokens.input)} tokens in, ${many(tokens.output)} out`,
    cost ? ` · $${cost.toFixed(4)}` : "",
  ].join(""))];
}

/** Go to the next of these places (counted from 1), or from the last to the first; which of them it is. */
function next(places, back = false) {
  const here = at.place + 1;
  const found = back ? places.findLast((place) => place < here) ?? places.at(-1)
    : places.find((place) => place > here) ?? places[0];
  tell("replay_go", found - 1);
  return places.indexOf(found) + 1;
}

function jump(kind, places) {
  const [one, more, color] = KINDS[kind];
  const words = `${many(places.length)} ${places.length === 1 ? one : more}`;
  const button = node("button", { type: "button", class: `ss-chip ss-chip--${color}`, title: `Go to the next of them` }, words);
  button.addEventListener("click", () => {
    const number = next(places);
    if (places.length > 1) button.textContent = `${many(number)} of ${words}`;
  });
  return button;
}

register("replay_jumps", (root) => {
  const find = (name) => root.querySelector(name);
  const [line, jumps, form, told] = [".ss-thread", ".ss-jumps", ".ss-within", ".ss-within-told"].map(find);
  const field = form.elements.within;
  let [looked, places] = ["", []];

  async function look(back) {
    const words = field.value.trim();
    if (!words) return;
    if (words !== looked) {
      const { found } = await asked("GET", `/replay/${encodeURIComponent(at.threadId)}/outline?q=${encodeURIComponent(words)}`);
      if (field.value.trim() !== words) return; // somebody typed on
      [looked, places] = [words, found];
    }
    told.textContent = places.length ? `${many(next(places, back))} of ${many(places.length)}` : "Not in this conversation";
  }

  on("replay_shown", (shown) => {
    if (shown.threadId !== at.threadId) { form.reset(); told.textContent = ""; }
    at.threadId = shown.threadId;
    looked = "";
    line.replaceChildren(...about(shown));
    jumps.replaceChildren(...Object.keys(KINDS).filter((kind) => shown.outline[kind].length)
      .map((kind) => jump(kind, shown.outline[kind])));
  });
  on("replay_at", (place) => { at.place = place; });
  form.addEventListener("submit", (event) => { event.preventDefault(); look(false); });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.shiftKey) return;
    event.preventDefault();
    look(true);
  });
  field.addEventListener("input", () => { told.textContent = ""; });
});
