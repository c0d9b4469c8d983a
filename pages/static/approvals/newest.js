// The newest that the page knows of an approval: an answer of the server may arrive after a frame that was sent later.

import { emit, on } from "../shell/events.js";

const MOST = 500;
/** The approvals that were decided of late, the latest last. @type {Map<string, Approval>} */
const decided = new Map();

/** How far an approval has come: pending, decided, running, ended. @param {Approval} approval */
function stageOf({ status, execution }) {
  if (status === "pending") return 0;
  return execution === "not_started" ? 1 : execution === "running" ? 2 : 3;
}

/** What a frame told later than this answer, else the answer. @param {Approval} answer */
export function newest(answer) {
  const frame = decided.get(answer.approval_id);
  return frame && stageOf(frame) > stageOf(answer) ? frame : answer;
}

/** Tells the page of an approval that a request was answered with. @param {Approval} answer */
export const emitAnswer = (answer) => emit("approval", { approval: newest(answer) });

on("approval", ({ approval }) => {
  if (approval.status === "pending") return;
  decided.delete(approval.approval_id);
  decided.set(approval.approval_id, approval);
  if (decided.size > MOST) decided.delete(/** @type {string} */ (decided.keys().next().value));
});
