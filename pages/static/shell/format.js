// Names and times as people read them.

/** `cancel_order` -> `Cancel order`. @param {string | null | undefined} name */
export function humanize(name) {
  const text = String(name ?? "").replaceAll("_", " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** An agent's title as configured; its name in words where it has none. @param {string} agent */
export const agentTitle = (agent) => window.ssConfig?.agents?.[agent] ?? humanize(agent);

/**
 * `1 note`, `2,535 notes`.
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/**
 * `just now`, `5 min ago`, `3 h ago`, later the date.
 * @param {number} time in milliseconds
 * @param {number} now in milliseconds
 */
export function timeAgo(time, now) {
  const seconds = Math.max(0, (now - time) / 1000);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(time).toLocaleDateString(undefined, { day: "numeric", month: "short" });
}

/** `12:04`, in the viewer's time zone. @param {string | number} time */
export function timeOfDay(time) {
  return new Date(time).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}
