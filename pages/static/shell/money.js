// Amounts of money as people read them.

/** @param {string | null} currency How many decimals it has. */
const decimalsOf = (currency) => window.ssConfig.decimals[currency ?? ""] ?? 2;

/** `€1,250.00`, `¥2,500`, `CHF 168.00`; `12.50` where the currency is not known. @param {Amount} amount */
export function money({ minor, currency }) {
  const decimals = decimalsOf(currency);
  const options = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  const given = minor / 10 ** decimals;
  try {
    const text = given.toLocaleString("en", currency ? { ...options, style: "currency", currency } : options);
    // The space after a code does not break; the page would show it as a character that can't be seen.
    return text.replaceAll("\u00a0", " ");
  } catch { return `${currency} ${given.toLocaleString("en", options)}`; }
}

/** An amount in hundredths of its currency, whatever its smallest unit is. @param {Amount} amount */
export const hundredths = ({ minor, currency }) => minor * 10 ** (2 - decimalsOf(currency));

/**
 * `€310.90 and CHF 168.00`: the sum for each currency; empty where nothing is money.
 * @param {(Amount | null | undefined)[]} amounts
 */
export function totals(amounts) {
  /** @type {Map<string | null, number>} */
  const sums = new Map();
  for (const amount of amounts) {
    if (amount) sums.set(amount.currency, (sums.get(amount.currency) ?? 0) + amount.minor);
  }
  return [...sums].sort().map(([currency, minor]) => money({ minor, currency }) + (currency ? "" : " in an unknown currency")).join(" and ");
}

/**
 * An argument or a fact as money, if its name says that it is an amount in a smallest unit; else null.
 * @param {string} name
 * @param {unknown} given
 * @param {Approval} approval
 */
export function asMoney(name, given, approval) {
  if (!/_(cents|minor)$/.test(name) || typeof given !== "number" || !Number.isFinite(given)) return null;
  const currency = typeof approval.facts?.currency === "string" ? approval.facts.currency.toUpperCase() : approval.amount?.currency ?? null;
  return money({ minor: given, currency });
}
