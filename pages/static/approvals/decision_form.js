// The decisions on a card: approve, reject with a reason, edit the arguments, answer in the tool's place.

import { actionButton, find, messageOf, node, visible } from "../shell/dom.js";
import { draftOf, dropDraft, keepDraft } from "../shell/drafts.js";
import { on } from "../shell/events.js";
import { asMoney } from "../shell/money.js";
import { request, RequestError } from "../shell/rest.js";
import { argumentField, hiddenCharacters } from "./argument_fields.js";
import { claimOf, isOwnRequest, mayDecide } from "./claims.js";
import { effectList } from "./effect.js";
import { canUndo, hold, isHeld, noteDecidedHere } from "./held.js";
import { decisionText, nameOf } from "./names.js";
import { emitAnswer } from "./newest.js";

const PREVIEW_AFTER_MS = 350;
const DECIDED_MEANWHILE = [409, 410];
/** @type {Promise<{name: string, schema: JsonSchema}[]> | null} */
let tools = null;

/**
 * Whether the agent that requested a call supports a decision.
 * @param {Approval} approval
 * @param {string} decision
 */
export const isAllowed = (approval, decision) => (approval.allowed ?? ["approve", "edit", "reject"]).includes(decision);

/** @param {string} approvalId */
const draftKey = (approvalId) => `approval:${approvalId}`;

/**
 * What is typed into an approval's form and not sent; null where nothing is.
 * @param {string} approvalId
 * @returns {{decision: Decision, values: Record<string, string | boolean>, isOpen: boolean} | null}
 */
const typed = (approvalId) => draftOf(draftKey(approvalId));

/** Whether a form is open for an approval, in this view or another one. @param {string} approvalId */
export const isBeingWritten = (approvalId) => typed(approvalId)?.isOpen ?? false;

/** Deletes what was typed for an approval. @param {string} approvalId */
export const forgetDraft = (approvalId) => dropDraft(draftKey(approvalId));

/**
 * Shows a card's buttons, or the form that was open for its approval with all that was typed. Takes no focus.
 * @param {Card} card
 */
export function showDraftOrActions(card) {
  const draft = typed(card.id);
  // The form for an edit comes later, as it needs the tool's schema.
  showActions(card);
  if (draft?.isOpen && isAllowed(card.approval, draft.decision)) FORMS[draft.decision]?.(card, { takeFocus: false });
}

/** Closes a card's form. A reason or an answer is there again when it is opened the next time. @param {Card} card @param {Decision} decision */
function closeForm(card, decision) {
  const draft = typed(card.id);
  if (draft && decision !== "edit") keepDraft(draftKey(card.id), { ...draft, isOpen: false });
  else forgetDraft(card.id);
  showActions(card, decision);
}

/**
 * Shows the buttons of a card.
 * @param {Card} card
 * @param {Decision | null} focusOn the button that gets the focus
 */
export function showActions(card, focusOn = null) {
  const { approval } = card;
  const approve = button(card, "Approve", "green", () => {
    if (mayDecide(card)) { decide(card, { decision: "approve" }, approve); return; }
    const claim = claimOf(card.approval);
    showProblem(card, `Claimed by ${claim?.name} until ${claim?.until}. Press Approve again to approve anyway.`);
    card.body.querySelector(".ss-card-problem")?.classList.add("ss-claim-warning");
  });
  /** @type {Record<Decision, HTMLButtonElement>} */
  const buttons = {
    approve,
    reject: button(card, "Reject…", "red", () => showReject(card)),
    respond: button(card, "Answer…", "quiet", () => showRespond(card)),
    edit: button(card, "Edit", "quiet", () => showEdit(card)),
  };
  // Both leads must approve the same call, so neither may change it.
  buttons.edit.hidden = Object.keys(approval.args ?? {}).length === 0 || approval.need === "two_leads";
  const isOwn = isOwnRequest(approval);
  card.buttons = Object.fromEntries(Object.entries(buttons).filter(([decision]) =>
    isAllowed(approval, decision) && (!isOwn || decision === "reject")));
  card.body.replaceChildren(
    ...(isOwn ? [node("p", { class: "ss-notice" }, "You requested this. Another lead must approve.")] : []),
    ...(isAllowed(approval, "reject") ? [] : [node("p", { class: "ss-muted" },
      "This agent does not support rejection. Without a decision, the approval expires.")]),
    node("div", { class: "ss-actions" }, card.buttons.approve, card.buttons.reject,
      node("span", { class: "ss-others" }, card.buttons.respond, card.buttons.edit)));
  if (focusOn) card.buttons[focusOn]?.focus();
}

/**
 * A button that ignores the second half of a double click, which may land on a card that has just moved.
 * @param {Card} card
 * @param {string} text
 * @param {string} kind
 * @param {() => void} onclick
 */
function button(card, text, kind, onclick) {
  const made = actionButton(text, kind, (event) => { if (event.detail <= 1) onclick(); });
  made.setAttribute("aria-label", nameOf(text, card.approval));
  return made;
}

/** @param {Card} card @param {FormOptions} options */
function showReject(card, { takeFocus = true } = {}) {
  const reason = node("textarea", { rows: "2", maxlength: "2000", required: true, id: `${card.view}-reason-${card.id}`, name: "reason" });
  const reject = button(card, "Reject", "red", () => {
    if (reason.value.trim()) decide(card, { decision: "reject", reason: reason.value.trim() }, reject);
    else { showProblem(card, "Add a reason. The customer will see it."); reason.focus(); }
  });
  showForm(card, "reject", node("label", { for: reason.id }, "Reason (shown to the customer)"), reason,
    cannedReasons(reason),
    node("div", { class: "ss-actions" }, reject, button(card, "Cancel", "", () => closeForm(card, "reject"))));
  if (takeFocus) reason.focus();
}

/** The agents file's usual reasons, which fill the field. @param {HTMLTextAreaElement} reason */
export function cannedReasons(reason) {
  const usual = window.ssConfig.canned_rejections ?? [];
  if (usual.length === 0) return null;
  return node("div", { class: "ss-canned", role: "group", "aria-label": "Suggested texts" }, usual.map(({ title, text }) =>
    node("button", { type: "button", class: "ss-chip ss-chip--button", title: text, onclick: () => {
      reason.value = text;
      reason.dispatchEvent(new Event("input", { bubbles: true }));
      reason.focus();
    } }, title)));
}

/** Answers in the tool's place: nothing runs, and the agent gets the answer as the tool's result. @param {Card} card @param {FormOptions} options */
function showRespond(card, { takeFocus = true } = {}) {
  const message = node("textarea", { rows: "3", maxlength: "2000", required: true, id: `${card.view}-answer-${card.id}`, name: "message" });
  const answer = button(card, "Send answer", "green", () => {
    if (message.value.trim()) decide(card, { decision: "respond", message: message.value.trim() }, answer);
    else { showProblem(card, "Enter an answer. The agent gets it as the tool's result."); message.focus(); }
  });
  showForm(card, "respond",
    node("label", { for: message.id }, "Your answer (the agent gets it as the tool's result, and nothing runs)"), message,
    node("div", { class: "ss-actions" }, answer, button(card, "Cancel", "", () => closeForm(card, "respond"))));
  if (takeFocus) message.focus();
}

/** @param {Card} card @param {FormOptions} options */
async function showEdit(card, { takeFocus = true } = {}) {
  const schema = card.approval.args_schema ?? await toolSchema(card.approval.action);

  const fields = Object.entries(card.approval.args).map(([name, value], index) =>
    argumentField(`${card.view}-arg-${card.id}-${index}`, name, value, schema?.properties?.[name] ?? {}));
  const approve = button(card, "Approve with changes", "green", () => submitEdit(card, fields, approve));
  const preview = node("div", { class: "ss-edit-outcome", "aria-live": "polite" });
  const form = showForm(card, "edit",
    node("div", { class: "ss-edit" },
      node("div", { class: "ss-edit-fields" }, fields.map((field) =>
        [node("label", { for: field.input.id }, field.name), field.input, hiddenCharacters(field.input), moneyNote(field, card.approval)])), preview),
    node("div", { class: "ss-actions" }, approve, button(card, "Cancel", "", () => closeForm(card, "edit"))));
  let timer = 0;
  let version = 0;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    preview.replaceChildren();
    const current = version += 1;
    timer = setTimeout(async () => {
      const lines = await previewEdit(card, fields);
      if (current === version && form.isConnected) preview.replaceChildren(...lines);
    }, PREVIEW_AFTER_MS);
  });
  if (takeFocus) fields[0].input.focus();
  else form.dispatchEvent(new Event("input"));
}

/** @type {Partial<Record<Decision, (card: Card, options: FormOptions) => void>>} */
const FORMS = { reject: showReject, respond: showRespond, edit: showEdit };

/** What is typed into an amount, as money. @param {ArgumentField} field @param {Approval} approval */
function moneyNote(field, approval) {
  const note = node("p", { class: "ss-muted", hidden: true });
  const update = () => {
    const text = asMoney(field.name, Number(field.input.value.trim() || NaN), approval);
    note.hidden = text === null;
    note.textContent = text ? `= ${text}` : "";
  };
  field.input.addEventListener("input", update);
  update();
  return note;
}

/** @param {ArgumentField[]} fields */
const readArgs = (fields) => Object.fromEntries(fields.map((field) => [field.name, field.read()]));

/** @param {Card} card @param {object} args */
const isUnchanged = (card, args) => JSON.stringify(args) === JSON.stringify(card.approval.args);

/**
 * What the card would say with the edited arguments, or why they are refused.
 * @param {Card} card
 * @param {ArgumentField[]} fields
 */
async function previewEdit(card, fields) {
  try {
    const args = readArgs(fields);
    if (isUnchanged(card, args)) return [];
    const edit = await request("POST", `/approvals/${encodeURIComponent(card.id)}/preview`, { args });
    const warning = edit.customer_id === card.approval.customer_id ? [] : [node("p", { class: "ss-problem ss-problem--amber" },
      edit.customer_id ? `This is about another customer: ${edit.customer_id}.` : "The customer can't be determined.")];
    const effect = effectList(edit.effect, "Changes with your arguments");
    return [...warning, node("p", { class: "ss-muted" }, "With your changes:"),
      node("p", { class: "ss-summary" }, edit.summary), ...(effect ? [effect] : [])];
  } catch (error) {
    return [node("p", { class: "ss-problem" }, messageOf(error))];
  }
}

/**
 * Replaces a card's buttons by a form. Escape goes back, Enter submits.
 * @param {Card} card
 * @param {Decision} decision
 * @param {...Child} content
 */
function showForm(card, decision, ...content) {
  const form = node("form", { class: "ss-form" }, ...content);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.stopPropagation(); closeForm(card, decision); }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.target instanceof HTMLInputElement)) {
      event.preventDefault();
      find(form, ".ss-actions button").click();
    }
  });
  restore(form, card.id, decision);
  const keep = () => keepDraft(draftKey(card.id), { decision, values: inputValues(form), isOpen: true });
  form.addEventListener("input", keep);
  keep();
  card.body.replaceChildren(form);
  return form;
}

/** The inputs of a form that have a name. @param {HTMLFormElement} form */
const namedInputs = (form) => /** @type {HTMLInputElement[]} */ ([...form.elements]).filter((input) => input.name);

/** @param {HTMLFormElement} form */
const inputValues = (form) => Object.fromEntries(namedInputs(form).map((input) =>
  [input.name, input.type === "checkbox" ? input.checked : input.value]));

/** Fills a form with what was typed into it before. @param {HTMLFormElement} form @param {string} approvalId @param {Decision} decision */
function restore(form, approvalId, decision) {
  const draft = typed(approvalId);
  if (draft?.decision !== decision) return;
  for (const input of namedInputs(form)) {
    const value = draft.values[input.name];
    if (typeof value === "boolean") input.checked = value;
    else if (value !== undefined) input.value = value;
    input.dispatchEvent(new Event("input"));
  }
}

/** @param {Card} card @param {ArgumentField[]} fields @param {HTMLButtonElement} pressed */
function submitEdit(card, fields, pressed) {
  try {
    const args = readArgs(fields);
    if (isUnchanged(card, args)) showProblem(card, "Nothing was changed. Change a value, or cancel and approve it as it is.");
    else decide(card, { decision: "edit", args }, pressed);
  } catch (error) {
    showProblem(card, messageOf(error));
  }
}

/** @param {string} action */
async function toolSchema(action) {
  tools ??= request("GET", "/tools").catch(() => { tools = null; return []; });
  return (await tools).find((tool) => tool.name === action)?.schema;
}

/** Cards of this page whose decision is held. A view may hide them for other reasons too. @type {Set<Card>} */
const heldCards = new Set();

on("held_changed", () => {
  for (const card of heldCards) {
    card.element.hidden = isHeld(card.id);
    if (!card.element.hidden) heldCards.delete(card);
  }
});

/** @param {Card} card @param {{decision: Decision}} body */
async function send(card, body) {
  noteDecidedHere([card.id]);
  const approval = await request("POST", `/approvals/${encodeURIComponent(card.id)}/decision`, body);
  card.isBusy = false;
  forgetDraft(card.id);
  emitAnswer(approval);
}

/** Decides, or holds the decision for as long as it can be undone. @param {Card} card @param {{decision: Decision} & Record<string, unknown>} body @param {HTMLButtonElement} pressed */
async function decide(card, body, pressed) {
  if (card.isBusy) return;
  if (isHeld(card.id)) return;
  if (canUndo) {
    heldCards.add(card);
    hold([card.id], decisionText(card.approval, body), () => send(card, body));
    return;
  }
  const controls = [...card.body.querySelectorAll("button")];
  card.isBusy = card.isDecidedHere = true;
  // aria-disabled, because a disabled button would lose the focus.
  for (const control of controls) control.setAttribute("aria-disabled", "true");
  pressed.classList.add("ss-busy");
  try {
    await send(card, body);
  } catch (error) {
    card.isBusy = card.isDecidedHere = false;
    if (error instanceof RequestError && DECIDED_MEANWHILE.includes(error.status ?? 0) && await showOtherDecision(card)) return;
    for (const control of controls) control.removeAttribute("aria-disabled");
    pressed.classList.remove("ss-busy");
    showProblem(card, messageOf(error));
  }
}

/** Shows the decision that was made first. Whether there is one. @param {Card} card */
export async function showOtherDecision(card) {
  /** @type {Approval | null} */
  const approval = await request("GET", `/approvals/${encodeURIComponent(card.id)}`).catch(() => null);
  if (!approval || approval.status === "pending") return false;
  card.isRefused = true;
  emitAnswer(approval);
  return true;
}

/** Removes the warning of a claim that has ended. @param {Card} card */
export function clearClaimWarning(card) {
  if (!claimOf(card.approval)) card.body.querySelector(".ss-claim-warning")?.remove();
}

/** @param {Card} card @param {string} text */
function showProblem(card, text) {
  let place = card.body.querySelector(".ss-card-problem");
  if (!place) {
    place = node("p", { class: "ss-problem ss-card-problem", role: "alert", dir: "auto" });
    card.body.prepend(place);
  }
  place.textContent = visible(text);
}

/**
 * Says that the approval was decided while somebody worked on this card, and waits for them to dismiss it.
 * @param {Card} card
 * @param {string} outcome
 * @param {() => void} dismiss
 * @param {FormOptions} options
 */
export function showDecidedMeanwhile(card, outcome, dismiss, { takeFocus = true } = {}) {
  const done = button(card, "Dismiss", "", dismiss);
  const draft = typed(card.id);
  const text = draft && draft.decision !== "edit" ? Object.values(draft.values).join(" ").trim() : "";
  card.body.replaceChildren(
    node("p", { class: "ss-problem ss-problem--amber", role: "alert" },
      `Already ${outcome.charAt(0).toLowerCase()}${outcome.slice(1)}`),
    ...(text ? [node("p", { class: "ss-muted" }, "You had typed:"), node("p", { class: "ss-reason" }, text)] : []),
    node("div", { class: "ss-actions" }, done));
  if (takeFocus) done.focus({ preventScroll: true });
}
