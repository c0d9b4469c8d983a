// A dialog with a form.

import { actionButton, messageOf, node, showError } from "./dom.js";

/**
 * Opens a dialog with a form; `submit` may throw, and its message is then shown.
 * @param {Child} title
 * @param {Child} content
 * @param {string} action
 * @param {() => Promise<void>} submit
 */
export function openDialog(title, content, action, submit) {
  const error = node("p", { class: "ss-note ss-note--red", role: "alert", hidden: true });
  const go = node("button", { class: "ss-button ss-button--red" }, action);
  const form = node("form", { method: "dialog" }, node("h2", { id: "ss-dialog-title" }, title), content, error,
    node("div", { class: "ss-actions" }, go, actionButton("Cancel", "", () => dialog.close())));
  const dialog = node("dialog", { class: "ss-card ss-dialog", "aria-labelledby": "ss-dialog-title" }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    try { await submit(); dialog.close(); } catch (failed) { showError(error, messageOf(failed)); }
    go.disabled = false;
  });
  dialog.addEventListener("close", () => dialog.remove());
  // Keys that decide approvals are not for what is typed here.
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  document.body.append(dialog);
  dialog.showModal();
}
