// Which approvals of the queue are shown, and in which order. Cards are hidden and moved, never made anew.

import { node, words } from "./text.js";

const RANK = { high: 0, medium: 1, low: 2 };
const SHOWN_FROM = 2;

/** The bar; `changed` is called when another choice is made. */
export function makeFilters(title, changed) {
  const select = (name, label, options) => node("select", { name, "aria-label": label, onchange: changed },
    options.map(([value, text]) => node("option", { value }, text)));
  const search = node("input", { type: "search", name: "q", placeholder: "Search approvals", "aria-label": "Search approvals",
    maxlength: "200", autocomplete: "off", oninput: changed });
  const agents = select("agent", "Agent", [["", "Any agent"]]);
  const risk = select("risk", "Risk", [["", "Any risk"], ["high", "High risk"], ["medium", "Medium risk"], ["low", "Low risk"]]);
  const sort = select("sort", "Order", [["oldest", "Oldest first"], ["risk", "Riskiest first"]]);
  const told = node("span", { class: "ss-muted", role: "status" });
  const clear = node("button", { type: "button", class: "ss-link", onclick: () => { form.reset(); changed(); search.focus(); } }, "Clear");
  const form = node("form", { class: "ss-queue-filters", role: "search", onsubmit: (event) => event.preventDefault() },
    search, agents, risk, sort, node("p", {}, told, " ", clear));

  function offer(approvals) {
    const names = [...new Set(approvals.map((one) => one.agent))].sort();
    const have = [...agents.options].slice(1).map((option) => option.value);
    if (names.join() === have.join()) return;
    const chosen = agents.value;
    agents.replaceChildren(node("option", { value: "" }, "Any agent"), ...names.map((name) => node("option", { value: name }, title(name))));
    agents.value = names.includes(chosen) ? chosen : "";
  }

  return {
    element: form, search,
    /** Show what fits of the cards, in the order that was chosen; the bar itself where there is something to choose. */
    apply(cards, queue) {
      offer(cards.map((card) => card.approval));
      const filtered = Boolean(search.value.trim() || agents.value || risk.value);
      form.hidden = cards.length < SHOWN_FROM && !filtered;
      const found = cards.filter((card) => matches(card.approval));
      for (const card of cards) card.element.hidden = !found.includes(card);
      const wanted = [...cards].sort(order);
      const present = [...queue.children].filter((element) => wanted.some((card) => card.element === element));
      if (wanted.some((card, place) => card.element !== present[place])) place(wanted, queue);
      told.textContent = filtered ? `${found.length} of ${cards.length} shown` : "";
      clear.hidden = !filtered;
      return found;
    },
  };

  function matches(one) {
    const text = [one.summary, words(one.action), one.action, one.agent, title(one.agent), one.customer_id, one.thread_id,
      JSON.stringify(one.args)].join(" ").toLowerCase();
    return text.includes(search.value.trim().toLowerCase())
      && (!agents.value || one.agent === agents.value) && (!risk.value || one.risk === risk.value);
  }

  function order(one, other) {
    const age = one.approval.requested_at.localeCompare(other.approval.requested_at);
    return sort.value === "risk" ? RANK[one.approval.risk] - RANK[other.approval.risk] || age : age;
  }
}

/** Put cards in order; what has the focus stays where it is, and the others go around it. */
function place(cards, queue) {
  const held = cards.find((card) => card.element.contains(document.activeElement));
  const before = held ? cards.slice(0, cards.indexOf(held)) : [];
  for (const card of before) queue.insertBefore(card.element, held.element);
  let last = held?.element;
  for (const card of cards.slice(held ? before.length + 1 : 0)) {
    if (last) last.after(card.element);
    else queue.append(card.element);
    last = card.element;
  }
}
