// Which pending approvals are shown, and in which order. Cards are hidden and moved, never created again.

import { linkButton, node } from "../shell/dom.js";
import { agentTitle, humanize } from "../shell/format.js";

/** @type {Record<string, number>} */
const RANK = { high: 0, medium: 1, low: 2 };
const MIN_CARDS = 2;

/**
 * The filter bar. `changed` is called after each change.
 * @param {() => void} changed
 */
export function makeFilters(changed) {
  /** @param {string} name @param {string} label @param {[string, string][]} options */
  const select = (name, label, options) => node("select", { name, "aria-label": label, onchange: changed },
    options.map(([value, text]) => node("option", { value }, text)));
  const search = node("input", { type: "search", name: "q", placeholder: "Search approvals", "aria-label": "Search approvals",
    maxlength: "200", autocomplete: "off", oninput: changed });
  const agent = select("agent", "Agent", [["", "All agents"]]);
  const risk = select("risk", "Risk", [["", "All risks"], ["high", "High risk"], ["medium", "Medium risk"], ["low", "Low risk"]]);
  const sort = select("sort", "Order", [["oldest", "Oldest first"], ["risk", "Highest risk first"]]);
  const status = node("span", { class: "ss-muted", role: "status" });
  const clear = linkButton("Clear filters", () => { form.reset(); changed(); search.focus(); });
  const form = node("form", { class: "ss-queue-filters", role: "search",
    onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
    search, agent, risk, sort, node("p", {}, status, " ", clear));

  /** @param {Approval[]} approvals */
  function offerAgents(approvals) {
    const names = [...new Set(approvals.map((one) => one.agent))].sort();
    const offered = [...agent.options].slice(1).map((option) => option.value);
    if (names.join() === offered.join()) return;
    const chosen = agent.value;
    agent.replaceChildren(node("option", { value: "" }, "All agents"),
      ...names.map((name) => node("option", { value: name }, agentTitle(name))));
    agent.value = names.includes(chosen) ? chosen : "";
  }

  /** @param {Approval} one */
  function matches(one) {
    const text = [one.summary, humanize(one.action), one.action, one.agent, agentTitle(one.agent), one.customer_id, one.thread_id,
      JSON.stringify(one.args)].join(" ").toLowerCase();
    return text.includes(search.value.trim().toLowerCase())
      && (!agent.value || one.agent === agent.value) && (!risk.value || one.risk === risk.value);
  }

  /** @param {Card} one @param {Card} other */
  function compare(one, other) {
    const age = one.approval.requested_at.localeCompare(other.approval.requested_at);
    return sort.value === "risk" ? RANK[one.approval.risk] - RANK[other.approval.risk] || age : age;
  }

  const isFiltered = () => Boolean(search.value.trim() || agent.value || risk.value);

  return {
    element: form,
    isFiltered,
    focusSearch: () => search.focus(),
    /**
     * Shows the cards that match, in the chosen order, and returns them.
     * @param {Card[]} cards
     * @param {HTMLElement} queue
     * @param {(id: string) => boolean} isHeld
     */
    apply(cards, queue, isHeld) {
      offerAgents(cards.map((card) => card.approval));
      form.hidden = cards.length < MIN_CARDS && !isFiltered();
      const matching = cards.filter((card) => matches(card.approval) && !isHeld(card.id));
      for (const card of cards) card.element.hidden = !matching.includes(card);
      const sorted = [...cards].sort(compare);
      const present = [...queue.children].filter((element) => sorted.some((card) => card.element === element));
      if (sorted.some((card, index) => card.element !== present[index])) reorder(sorted, queue);
      status.textContent = isFiltered() ? `${matching.length} of ${cards.length} shown` : "";
      clear.hidden = !isFiltered();
      return matching;
    },
  };
}

/**
 * Puts cards in order. The one with the focus is not moved, as that would take the focus away.
 * @param {Card[]} cards
 * @param {HTMLElement} queue
 */
function reorder(cards, queue) {
  const focused = cards.find((card) => card.element.contains(document.activeElement));
  const before = focused ? cards.slice(0, cards.indexOf(focused)) : [];
  for (const card of before) queue.insertBefore(card.element, focused?.element ?? null);
  let last = focused?.element;
  for (const card of cards.slice(focused ? before.length + 1 : 0)) {
    if (last) last.after(card.element);
    else queue.append(card.element);
    last = card.element;
  }
}
