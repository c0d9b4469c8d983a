// What a person does in a conversation: take over, reply, note, hand back. What is typed stays until it was sent.

import { connectionState } from "../shell/connection.js";
import { actionButton, messageOf, node, prose, showError, value } from "../shell/dom.js";
import { draftOf, dropDraft, keepDraft } from "../shell/drafts.js";
import { newId } from "../shell/ids.js";
import { request, RequestError } from "../shell/rest.js";
import { currentUser, isMe } from "./names.js";

const CANNED_SHOWN = 2;
/** @type {Set<string>} */
const sending = new Set();
/** What is typed, by conversation: whoever comes back while it is sent sees the same draft. @type {Map<string, InboxDraft>} */
const drafts = new Map();
/** Draws the composer of a conversation that is open now. @type {Map<string, () => void>} */
const redraws = new Map();

/**
 * The composer of a conversation. `changed` is called with the conversation's new holder, `noted` with a new note.
 * @param {InboxItem} item
 * @param {{changed: (takenBy: string | null) => void, noted: (note: ColleagueNote) => void}} callbacks
 */
export function makeComposer(item, { changed, noted }) {
  const key = `inbox:${item.thread_id}`;
  const path = `/conversations/${encodeURIComponent(item.thread_id)}`;
  /** @type {InboxDraft} */
  const draft = drafts.get(key) ?? { isNote: false, reply: "", note: "", release: "", messageId: null, noteId: null, ...draftOf(key) };
  drafts.set(key, draft);
  const banner = node("div", { class: "ss-inbox-banner" });
  const release = node("form", { class: "ss-form ss-inbox-release", hidden: true, onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    handBack();
  } });
  const releaseNote = node("textarea", { rows: "2", maxlength: "2000", id: "ss-release-note", oninput: () => { draft.release = releaseNote.value; keep(); } });
  releaseNote.value = draft.release;
  release.append(node("label", { for: "ss-release-note" }, "Note for the agents (optional)"), releaseNote,
    node("div", { class: "ss-actions" }, node("button", { class: "ss-button ss-button--accent" }, "Hand back to the agents"),
      actionButton("Cancel", "", () => { release.hidden = true; })));
  const replyTab = node("button", { type: "button", class: "ss-mode", onclick: () => choose(false) });
  const noteTab = node("button", { type: "button", class: "ss-mode", onclick: () => choose(true) }, "Note");
  const canned = node("div", { class: "ss-inbox-canned" });
  const text = node("textarea", { rows: "2", maxlength: "10000", oninput: typed, onkeydown: (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); submit(); }
  } });
  const problem = node("p", { class: "ss-problem", role: "alert", hidden: true });
  const button = node("button", { class: "ss-button ss-button--accent" }, "Send");
  const form = node("form", { class: "ss-inbox-write", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); submit(); } },
    node("div", { class: "ss-modes", role: "group", "aria-label": "Write" }, replyTab, noteTab, canned), text,
    node("div", { class: "ss-inbox-send" }, problem, button));
  const element = node("div", { class: "ss-inbox-composer" }, banner, release, form);
  fillCanned();

  function fillCanned() {
    const all = window.ssConfig.canned_replies ?? [];
    canned.append(...all.slice(0, CANNED_SHOWN).map((one) => node("button", { type: "button", class: "ss-chip",
      "aria-label": `Insert the canned reply ${one.title}`, onclick: () => insert(one.text) }, one.title)));
    if (all.length <= CANNED_SHOWN) return;
    const select = node("select", { "aria-label": "Canned replies", onchange: () => {
      const chosen = all.find((one) => one.title === select.value);
      select.value = "";
      if (chosen) insert(chosen.text);
    } }, node("option", { value: "" }, "More replies…"), all.map((one) => node("option", { value: one.title }, one.title)));
    canned.append(select);
  }

  /** @param {string} words */
  function insert(words) {
    text.value = text.value.trim() ? `${text.value.trimEnd()}\n${words}` : words;
    typed();
    text.focus();
  }

  const isTakenByOther = () => item.taken_by !== null && !isMe(item.taken_by);
  const isNote = () => draft.isNote || isTakenByOther();

  function typed() {
    const field = isNote() ? "note" : "reply";
    // What was begun as a note stays one, also when the conversation is handed back meanwhile.
    if (field === "note") draft.isNote = true;
    // Another text is another message: under the old id it might be taken for the one before.
    if (draft[field] !== text.value) draft[field === "reply" ? "messageId" : "noteId"] = null;
    draft[field] = text.value;
    keep();
    showError(problem, "");
    fit();
  }

  function keep() {
    if (draft.reply || draft.note || draft.release || draft.isNote) keepDraft(key, draft);
    else dropDraft(key);
  }

  function fit() {
    text.style.height = "auto";
    text.style.height = `${Math.min(180, text.scrollHeight + 2)}px`;
    button.disabled = text.value.trim() === "";
  }

  /** @param {boolean} note */
  function choose(note) {
    draft.isNote = note;
    keep();
    draw();
    text.focus();
  }

  function draw() {
    const note = isNote();
    replyTab.hidden = isTakenByOther();
    replyTab.textContent = `Reply as ${currentUser()?.name ?? "you"}`;
    replyTab.setAttribute("aria-pressed", String(!note));
    noteTab.setAttribute("aria-pressed", String(note));
    canned.hidden = note;
    element.classList.toggle("ss-writes-note", note);
    const label = note ? "Note for your team (the customer does not see it)" : "Reply to the customer";
    text.setAttribute("aria-label", label);
    text.placeholder = note ? "Add a note for your team" : "Write to the customer";
    const words = note ? draft.note : draft.reply;
    if (text.value !== words) text.value = words;
    button.replaceChildren(note ? "Add note" : "Send", node("kbd", { "aria-hidden": "true" }, "Ctrl ↵"));
    drawBanner();
    fit();
  }

  function drawBanner() {
    const by = item.taken_by;
    const takeOver = () => actionButton("Take over", "accent", () => { act(async () => { await request("POST", `${path}/takeover`); setHolder(currentUser()?.name ?? null); }); });
    const handOver = () => actionButton("Hand back…", "", () => { release.hidden = !release.hidden; if (!release.hidden) releaseNote.focus(); });
    /** @type {Child[]} */
    let content;
    let kind = "teal";
    if (by && isMe(by)) {
      kind = "accent";
      content = [node("span", {}, node("b", {}, "You have this conversation."), " The agents do not answer."), handOver()];
    } else if (by) {
      kind = "amber";
      content = [node("span", {}, node("b", {}, value(by), " has this conversation."), " You can leave a note."), handOver()];
    } else if (item.escalation) {
      kind = "red";
      content = [node("span", { dir: "auto" }, node("b", {}, "Needs a human. "), prose(item.escalation.reason)), takeOver()];
    } else {
      content = [node("span", {}, node("b", {}, item.status === "ended" ? "This conversation has ended." : "Agents are answering."),
        " Sending a reply takes the conversation over."), takeOver()];
    }
    const drawn = node("div", { class: `ss-inbox-banner ss-inbox-banner--${kind}` }, content);
    // A button that is replaced loses the focus, and a click that has begun.
    if (!banner.isEqualNode(drawn)) {
      banner.className = drawn.className;
      banner.replaceChildren(...drawn.childNodes);
    }
    if (!by) release.hidden = true;
  }

  /** @param {string | null} takenBy */
  function setHolder(takenBy) {
    item.taken_by = takenBy;
    if (takenBy) item.escalation = null;
    changed(takenBy);
    draw();
  }

  /** Runs one action at a time; an error is shown and what is typed stays. @param {() => Promise<void>} work */
  async function act(work) {
    if (sending.has(key)) return;
    sending.add(key);
    element.setAttribute("aria-busy", "true");
    button.classList.add("ss-busy");
    showError(problem, "");
    try {
      await work();
    } catch (error) {
      if (error instanceof RequestError && error.code === "taken_over") await showFirst();
      else showError(problem, connectionState() === "lost" ? "Not sent: the server can't be reached. Your text is kept." : messageOf(error));
    } finally {
      sending.delete(key);
      redraws.get(key)?.();
      element.removeAttribute("aria-busy");
      button.classList.remove("ss-busy");
    }
  }

  /** Says who took the conversation first. */
  async function showFirst() {
    /** @type {InboxItem | null} */
    const latest = await request("GET", `/inbox/${encodeURIComponent(item.thread_id)}`).catch(() => null);
    if (latest) { Object.assign(item, latest); changed(item.taken_by); draw(); }
    showError(problem, `${latest?.taken_by ?? "Somebody else"} took this conversation first. Nothing was sent${draft.reply ? "; your reply is kept" : ""}.`);
  }

  function submit() {
    const words = text.value.trim();
    if (!words) return;
    if (isNote()) act(() => sendNote(words));
    else act(() => sendReply(words));
  }

  /** @param {string} words */
  async function sendReply(words) {
    draft.messageId ??= newId();
    keep();
    if (!isMe(item.taken_by)) {
      await request("POST", `${path}/takeover`);
      setHolder(currentUser()?.name ?? null);
    }
    await request("POST", `${path}/messages`, { content: words, message_id: draft.messageId });
    draft.messageId = null;
    draft.reply = draft.reply.trim() === words ? "" : draft.reply;
    keep();
    draw();
  }

  /** @param {string} words */
  async function sendNote(words) {
    draft.noteId ??= newId();
    keep();
    noted(await request("POST", `${path}/notes`, { content: words, note_id: draft.noteId }));
    draft.noteId = null;
    draft.note = draft.note.trim() === words ? "" : draft.note;
    keep();
    draw();
  }

  function handBack() {
    act(async () => {
      await request("POST", `${path}/release`, { note: releaseNote.value.trim() || null });
      releaseNote.value = draft.release = "";
      keep();
      release.hidden = true;
      setHolder(null);
    });
  }

  draw();
  redraws.set(key, draw);
  // Its height is known once it is on the page.
  requestAnimationFrame(fit);
  return {
    element,
    /** Shows what has changed of the conversation. @param {InboxItem} latest */
    update: (latest) => {
      // Who writes a note goes on with it when the conversation becomes theirs to answer.
      if (isNote() && document.activeElement === text) draft.isNote = true;
      Object.assign(item, latest);
      draw();
    },
    /** @param {boolean} note */
    focus: (note) => { if (note || !isTakenByOther()) choose(note); },
    takeOver: () => { if (!item.taken_by) banner.querySelector("button")?.click(); },
  };
}
