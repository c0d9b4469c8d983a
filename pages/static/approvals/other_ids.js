// The ids of orders and the like that customers name, compared with those of a call.

/**
 * The id that a call is for, and the other ones of its kind that texts name; null where they name this one, or none.
 *
 * Only an id of the same form counts that follows the word of the argument: `order 1203` for an `order_id` 1058.
 * @param {Approval} approval
 * @param {string[]} texts
 */
export function otherIds({ args }, texts) {
  for (const [name, value] of Object.entries(args)) {
    const word = /^([a-z]+)_(?:id|number|no)$/i.exec(name)?.[1];
    const given = String(value);
    if (!word || !/^(?=.*\d)[\w-]{3,40}$/.test(given) || texts.some((text) => text.toLowerCase().includes(given.toLowerCase()))) continue;
    const form = given.replace(/[a-z]/gi, "[a-z]").replace(/\d/g, "\\d");
    const id = `(?<![\\w€£$¥.,-])${form}(?![\\w-]|[.,]\\d)`;
    const series = new RegExp(`\\b${word}s?\\b[^.!?\\d]{0,20}${id}(?:(?:,| and| or)? #?${id})*`, "gi");
    const named = texts.flatMap((text) => text.match(series) ?? []).flatMap((text) => text.match(new RegExp(id, "gi")) ?? []);
    if (named.length) return { named: `${word} ${[...new Set(named)].join(" and ")}`, given };
  }
  return null;
}
