// Every request to the server's REST API goes through this file.

// The audit trail records that a person acted in the console, and not a program through the API.
const HEADERS = { Accept: "application/json", "X-Smart-Support-Door": "console" };

/** The sub-path that the app has behind a proxy, such as "/support"; empty without one. */
export const ROOT = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

let isLoggingOut = false;

/** Lets a logout go on to where the server leads it, though the socket ends with the login. */
export const noteLogout = () => { isLoggingOut = true; };

/** Opens the login page, which leads back to where the console is now. */
export function openLogin() {
  if (isLoggingOut) return;
  const here = location.pathname.slice(ROOT.length) + location.search;
  location.href = `${ROOT}/login${here === "/" ? "" : `?next=${encodeURIComponent(here)}`}`;
}

/** The server refused a request or can't be reached; `code` and `status` are null where there was no answer. */
export class RequestError extends Error {
  /**
   * @param {string} message
   * @param {string | null} code
   * @param {number | null} status
   * @param {{blocked?: BlockedOperation[]}} fields further facts beside the message
   */
  constructor(message, code = null, status = null, fields = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.fields = fields;
  }
}

/**
 * Sends a request under `/api/v1` and returns the answer's `data`.
 * @param {string} method
 * @param {string} path
 * @param {object} [body] sent as JSON; a FormData as it is
 * @returns {Promise<any>}
 * @throws {RequestError}
 */
export const request = async (method, path, body) => (await requestPage(method, path, body)).data;

/**
 * As `request`, and returns `data` with `meta`.
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<{data: any, meta: any}>}
 * @throws {RequestError}
 */
export async function requestPage(method, path, body) {
  const isJson = body !== undefined && !(body instanceof FormData);
  const response = await fetch(`${ROOT}/api/v1${path}`, {
    method,
    headers: { ...HEADERS, ...(isJson ? { "Content-Type": "application/json" } : {}) },
    body: isJson ? JSON.stringify(body) : body,
  }).catch(() => {
    throw new RequestError(method === "GET" ? "Can't reach the server. Try again when the connection is back."
      : "No answer from the server: it may have been done or not. Look again when the connection is back.");
  });
  const answer = await response.json().catch(() => null);
  if (answer?.success) return answer;
  const message = answer?.error?.message ?? "Something went wrong on the server. Try again.";
  throw new RequestError(message, answer?.error?.code, response.status, answer?.error ?? {});
}

/** The server's clock in milliseconds, exact to a second; null where it can't be reached. */
export async function serverTime() {
  const response = await fetch(`${ROOT}/api/v1/health`, { cache: "no-store" }).catch(() => null);
  const date = Date.parse(response?.headers.get("Date") ?? "");
  return Number.isNaN(date) ? null : date + 500;
}
