// One request to the server's REST doors.

/** Tells the record that a person did it here, and not a program through the API. */
export const DOOR = { "X-Smart-Support-Door": "console" };

/** The `data` of an answer; throws what the server says where it refuses, with its `code`. */
export const asked = async (method, path, body) => (await answered(method, path, body)).data;

/** The whole of an answer, with its `meta`; throws as `asked` does. */
export async function answered(method, path, body) {
  const json = body !== undefined && !(body instanceof FormData);
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, {
      method,
      headers: { Accept: "application/json", ...DOOR,
        ...(json ? { "Content-Type": "application/json" } : {}) },
      body: json ? JSON.stringify(body) : body,
    });
  } catch {
    throw new Error("The server can't be reached; nothing was changed. Try again when the connection is back.");
  }
  const said = await answer.json().catch(() => null);
  if (said?.success) return said;
  const error = new Error(said?.error?.message ?? "The server gave no answer; please try again.");
  throw Object.assign(error, { code: said?.error?.code });
}
