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

const CURRENCIES = "[€£$¥]|\\b(?:AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|INR|JPY|NOK|PLN|SEK|USD|euros?|pounds?|dollars?)\\b";
const AMOUNT = new RegExp(`(?:${CURRENCIES})\\s?(\\d[\\d.,]*)|(\\d[\\d.,]*)\\s?(?:${CURRENCIES})`, "g");

/**
 * The amounts of money that texts name, where an approval's call is for another amount that its caller chose; else empty.
 * @param {Approval} approval
 * @param {string[]} texts
 */
export function otherAmounts({ amount, args }, texts) {
  if (!amount || ![args.amount_cents, args.amount_minor].includes(amount.minor)) return "";
  const named = texts.flatMap((text) => [...text.matchAll(AMOUNT)]);
  if (named.some((match) => inHundredths(match[1] ?? match[2]) === hundredths(amount))) return "";
  const written = [...new Set(named.map((match) => match[0].replace(/[.,]+$/, "")))];
  return [written.slice(0, -1).join(", "), ...written.slice(-1)].filter(Boolean).join(" and ");
}

/** `1,250.5` and `1.250,50` are 125,050. @param {string} number */
function inHundredths(number) {
  const [whole, decimals] = number.replace(/[.,]+$/, "").split(/[.,](?=\d{1,2}$)/);
  return Number(whole.replace(/[.,]/g, "")) * 100 + Number((decimals ?? "").padEnd(2, "0"));
}
