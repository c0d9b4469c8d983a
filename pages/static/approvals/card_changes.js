// What happens to an approval that somebody looks at when it changes, in whichever view it is.

import { showClaim, showMarks } from "./card.js";
import { outcomeText } from "./decided.js";
import { clearClaimWarning, forgetDraft, isBeingWritten, showDecidedMeanwhile, showDraftOrActions } from "./decision_form.js";

/** Shows what has changed of an approval that is still pending. @param {Card} card @param {Approval} approval */
export function updateCard(card, approval) {
  const votes = card.approval.votes?.length ?? 0;
  card.approval = approval;
  card.history.update(approval);
  showClaim(card);
  showMarks(card);
  clearClaimWarning(card);
  if ((approval.votes?.length ?? 0) > votes) { card.isDecidedHere = false; showDraftOrActions(card); }
}

/**
 * Tells who works on a card that it was decided elsewhere, with what they had typed, until they dismiss it. Whether
 * the card stays for that; otherwise its draft is deleted.
 * @param {Card} card
 * @param {Approval} approval
 * @param {() => void} dismissed
 * @param {{staysIfFocused?: boolean}} options
 */
export function settleCard(card, approval, dismissed, { staysIfFocused = true } = {}) {
  const hasFocus = card.element.contains(document.activeElement);
  if (card.isDecidedHere || !(card.isRefused || (staysIfFocused && hasFocus) || isBeingWritten(card.id))) {
    forgetDraft(card.id);
    return false;
  }
  card.isRefused = true;
  showDecidedMeanwhile(card, outcomeText(approval), () => { forgetDraft(card.id); card.isRefused = false; dismissed(); },
    { takeFocus: hasFocus });
  return true;
}
