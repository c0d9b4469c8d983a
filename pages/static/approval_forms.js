// What a person does on a card: approve, reject with a reason, edit the arguments, answer in the tool's place; each
// where the agent takes it. Which cards there are is approvals.js's.

import { tell } from "./shell.js";
import { effectLines } from "./effect.js";
import { mayGoOn } from "./queue_desk.js";
import { asked, DOOR } from "./rest.js";
import { node, visible } from "./text.js";

const TRY_AFTER_MS = 350;
let tools = null;

export function showActions(card, focusOn = null) {
  const approve = button("Approve", "green", () => {
    if (mayGoOn(card)) decide(card, { decision: "approve" }, approve);
    else showProblem(card, `${card.approval.claimed_by} is at work on this. Press Approve again to decide it all the same.`);
  });
  const reject = button("Reject…", "red", () => showReject(card));
  const edit = button("Edit", "plain", () => showEdit(card));
  // Two leads have to see the same call, so neither changes it.
  if (Object.keys(card.approval.args ?? {}).length === 0 || card.approval.need === "two_leads") edit.hidden = true;
  const respond = button("Answer…", "plain", () => showRespond(card));
  const buttons = { approve, reject, respond, edit };
  const taken = Object.fromEntries(Object.entries(buttons).filter(([what]) => allows(card.approval, what)));
  Object.assign(card, { buttons: taken });
  card.body.replaceChildren(
    ...(allows(card.approval, "reject") ? [] : [node("p", { class: "ss-muted" }, "The agent does not take a rejection. Left alone, it expires.")]),
    node("div", { class: "ss-actions" }, ...["approve", "reject"].flatMap((what) => taken[what] ?? []),
      node("span", { class: "ss-others" }, ["respond", "edit"].map((what) => taken[what] ?? null))));
  taken[focusOn]?.focus();
}

/** Whether the agent that asked takes a decision. */
export const allows = (approval, decision) => (approval.allowed ?? ["approve", "edit", "reject"]).includes(decision);

function button(text, kind, onclick) {
  const once = (event) => {
    // The second half of a double click may land on a card that has just moved under the pointer.
    if (event.detail <= 1) onclick(event);
  };
  return node("button", { type: "button", class: `ss-button${kind ? ` ss-button--${kind}` : ""}`, onclick: once }, text);
}

function showReject(card) {
  const reason = node("textarea", { rows: "2", maxlength: "2000", required: true, id: `ss-reason-${card.id}` });
  const reject = button("Reject", "red", () => {
    if (reason.value.trim()) decide(card, { decision: "reject", reason: reason.value.trim() }, reject);
    else { showProblem(card, "Give a reason: the customer may be told, and your colleagues will ask."); reason.focus(); }
  });
  showForm(card, "reject",
    node("label", { for: reason.id }, "Reason, which the customer may be told"), reason,
    node("div", { class: "ss-actions" }, reject, button("Cancel", "", () => showActions(card, "reject"))));
  reason.focus();
}

/** Answer in the tool's place: nothing runs, and the agent reads the answer as the tool's result. */
function showRespond(card) {
  const message = node("textarea", { rows: "3", maxlength: "2000", required: true, id: `ss-answer-${card.id}` });
  const answer = button("Send answer", "green", () => {
    if (message.value.trim()) decide(card, { decision: "respond", message: message.value.trim() }, answer);
    else { showProblem(card, "Give an answer: the agent reads it as the tool's result."); message.focus(); }
  });
  showForm(card, "respond",
    node("label", { for: message.id }, "Your answer, which the agent reads as the tool's result. Nothing is run."), message,
    node("div", { class: "ss-actions" }, answer, button("Cancel", "", () => showActions(card, "respond"))));
  message.focus();
}

async function showEdit(card) {
  const schema = card.approval.args_schema ?? await schemaOf(card.approval.action);
  const fields = Object.entries(card.approval.args).map(([name, value], place) =>
    field(`ss-arg-${card.id}-${place}`, name, value, schema?.properties?.[name] ?? {}));
  const approve = button("Approve with changes", "green", () => submitEdit(card, fields, approve));
  const outcome = node("div", { class: "ss-edit-outcome", "aria-live": "polite" });
  const form = showForm(card, "edit",
    ...fields.flatMap((item) => [node("label", { for: item.input.id }, item.name), item.input]), outcome,
    node("div", { class: "ss-actions" }, approve, button("Cancel", "", () => showActions(card, "edit"))));
  let pause = null;
  let tries = 0;
  form.addEventListener("input", () => {
    clearTimeout(pause);
    outcome.replaceChildren();
    const latest = tries += 1;
    pause = setTimeout(async () => {
      const shown = await tried(card, fields);
      if (latest === tries && form.isConnected) outcome.replaceChildren(...shown);
    }, TRY_AFTER_MS);
  });
  fields[0].input.focus();
}

/** What the card would say with what stands in the fields, or why it can't be. */
async function tried(card, fields) {
  try {
    const args = Object.fromEntries(fields.map((item) => [item.name, item.read()]));
    if (JSON.stringify(args) === JSON.stringify(card.approval.args)) return [];
    const edit = await asked("POST", `/approvals/${encodeURIComponent(card.id)}/preview`, { args });
    const other = edit.customer_id !== card.approval.customer_id
      ? node("p", { class: "ss-problem ss-problem--told" }, edit.customer_id
        ? `This is about another customer: ${edit.customer_id}.` : "It can't be told whose this is.") : null;
    const lines = effectLines(edit.effect, "What will change with your arguments");
    return [other, node("p", { class: "ss-muted" }, "With your changes:"),
      node("p", { class: "ss-summary" }, edit.summary), lines].filter(Boolean);
  } catch (error) {
    return [node("p", { class: "ss-problem" }, error.message)];
  }
}

function showForm(card, from, ...content) {
  const form = node("form", { class: "ss-form" }, ...content);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.stopPropagation(); showActions(card, from); }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.target.tagName === "INPUT")) {
      event.preventDefault();
      form.querySelector(".ss-actions button").click();
    }
  });
  card.body.replaceChildren(form);
  return form;
}

/** An input of the argument's own type; `read` gives the value back in that type or throws. */
function field(id, name, value, schema) {
  const choices = schema.enum;
  if (Array.isArray(choices) && choices.length) {
    const input = node("select", { id }, choices.map((choice) =>
      node("option", { value: JSON.stringify(choice), selected: choice === value }, String(choice))));
    return { name, input, read: () => JSON.parse(input.value) };
  }
  if (typeof value === "boolean") {
    const input = node("input", { id, type: "checkbox" });
    input.checked = value;
    return { name, input, read: () => input.checked };
  }
  if (typeof value === "number") return numberField(id, name, value, schema);
  if (typeof value === "string") return textField(id, name, value);
  return jsonField(id, name, value);
}

function numberField(id, name, value, schema) {
  const input = node("input", { id, type: "text", inputmode: "decimal" });
  input.value = String(value);
  const whole = schema.type === "integer" || (schema.type === undefined && Number.isInteger(value));
  return { name, input, read: () => {
    const number = Number(input.value.trim());
    if (input.value.trim() === "" || !Number.isFinite(number)) throw new Error(`${name}: give a number`);
    if (whole && !Number.isSafeInteger(number)) throw new Error(`${name}: give a whole number`);
    return number;
  } };
}

function textField(id, name, value) {
  const many = value.length > 60 || value.includes("\n");
  const input = many ? node("textarea", { id, rows: "3" }) : node("input", { id, type: "text" });
  input.value = value;
  // What the browser would change by itself (line ends) is no edit.
  const shown = input.value;
  return { name, input, read: () => (input.value === shown ? value : input.value) };
}

function jsonField(id, name, value) {
  const input = node("textarea", { id, rows: "4", class: "ss-json", spellcheck: "false" });
  input.value = JSON.stringify(value, null, 1);
  return { name, input, read: () => {
    try { return JSON.parse(input.value); } catch { throw new Error(`${name}: is not JSON`); }
  } };
}

function submitEdit(card, fields, approve) {
  try {
    const args = Object.fromEntries(fields.map((item) => [item.name, item.read()]));
    if (JSON.stringify(args) === JSON.stringify(card.approval.args)) {
      showProblem(card, "Nothing was changed. Change a value, or go back and approve it as it is.");
      return;
    }
    decide(card, { decision: "edit", args }, approve);
  } catch (error) {
    showProblem(card, error.message);
  }
}

async function schemaOf(action) {
  if (tools === null) {
    const answer = await fetch("/api/v1/tools").then((response) => response.json()).catch(() => null);
    tools = answer?.data ?? null;
  }
  return tools?.find((tool) => tool.name === action)?.schema;
}

async function decide(card, decision, pressed) {
  const controls = [...card.body.querySelectorAll("button")];
  if (card.busy) return;
  card.busy = card.own = true;
  // aria-disabled, not disabled: a disabled button would lose the focus.
  controls.forEach((control) => control.setAttribute("aria-disabled", "true"));
  pressed.classList.add("ss-busy");
  const problem = await post(card, decision);
  card.busy = false;
  if (problem === null) return;
  card.own = false;
  controls.forEach((control) => control.removeAttribute("aria-disabled"));
  pressed.classList.remove("ss-busy");
  showProblem(card, problem);
}

/** null where the decision was taken, else what to tell. */
async function post(card, decision) {
  try {
    const answer = await fetch(`/api/v1/approvals/${encodeURIComponent(card.id)}/decision`, {
      method: "POST", headers: { "Content-Type": "application/json", ...DOOR }, body: JSON.stringify(decision),
    });
    const body = await answer.json();
    if (body.success) {
      tell("approval", { approval: body.data });
      return null;
    }
    if ((answer.status === 409 || answer.status === 410) && await showWhoWas(card)) return null;
    return body.error?.message ?? "That did not work; please try again.";
  } catch {
    return "The server can't be reached. Nothing was decided; try again when the connection is back.";
  }
}

/** Someone was first: have the card say who and when. Whether that is known. */
async function showWhoWas(card) {
  const answer = await fetch(`/api/v1/approvals/${encodeURIComponent(card.id)}`).then((response) => response.json());
  if (!answer.data || answer.data.status === "pending") return false;
  card.own = false;
  card.refused = true;
  tell("approval", { approval: answer.data });
  return true;
}

function showProblem(card, text) {
  let place = card.body.querySelector(".ss-problem");
  if (!place) {
    place = node("p", { class: "ss-problem", role: "alert" });
    card.body.prepend(place);
  }
  place.textContent = visible(text);
}

/** Someone else was first while this card was worked on: say so, keep the place, wait to be dismissed. */
export function showSettled(card, said, dismiss) {
  const done = button("Dismiss", "", dismiss);
  card.body.replaceChildren(
    node("p", { class: "ss-problem ss-problem--told", role: "alert" }, `Already ${said.charAt(0).toLowerCase()}${said.slice(1)}`),
    node("div", { class: "ss-actions" }, done));
  done.focus({ preventScroll: true });
}
