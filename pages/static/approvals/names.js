// What approvals and their controls are called.

const MAX_CHARS = 160;

/** `refund £25.00 for order 1044`: a summary inside a sentence. @param {Approval} approval */
export function inSentence(approval) {
  const text = approval.summary.slice(0, MAX_CHARS);
  return /^[A-Z][a-z ]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}

/**
 * The accessible name of a button: `Approve refund £25.00 for order 1044`, `Claim: refund £25.00 for order 1044`. It
 * begins with the text that the button shows, so that speech control finds it.
 * @param {string} text
 * @param {Approval} approval
 */
export const nameOf = (text, approval) => `${text}${/^(Approve|Reject)$/.test(text) ? "" : ":"} ${inSentence(approval)}`;

/** `Approve: Refund £25.00 for order 1044`. @param {Approval} approval @param {{decision: Decision}} body */
export function decisionText(approval, { decision }) {
  const verbs = { approve: "Approve", reject: "Reject", edit: "Approve with changes", respond: "Answer instead of running" };
  return `${verbs[decision]}: ${approval.summary.slice(0, MAX_CHARS)}`;
}

/** An error's message without the approval's id, where the approval is named beside it. @param {string} message */
export const withoutId = (message) => message.replace(/^approval [0-9a-f-]{36}: /, "");
