// Events inside the page: frames of the WebSocket, and what the tabs tell each other. `ConsoleEvents` lists them.

/** @type {Map<string, ((payload: any) => void)[]>} */
const listeners = new Map();
/** @type {Map<string, any>} */
const waiting = new Map();

/**
 * Calls `listener` with every event of a type; "*" is every WebSocket frame.
 * @template {keyof ConsoleEvents} K
 * @param {K} type
 * @param {(payload: ConsoleEvents[K]) => void} listener
 */
export function on(type, listener) {
  listeners.set(type, [...(listeners.get(type) ?? []), listener]);
  if (!waiting.has(type)) return;
  const payload = waiting.get(type);
  waiting.delete(type);
  queueMicrotask(() => listener(payload));
}

/**
 * Calls the listeners of a type now.
 * @template {keyof ConsoleEvents} K
 * @param {K} type
 * @param {ConsoleEvents[K]} payload
 */
export function emit(type, payload) {
  for (const listener of listeners.get(type) ?? []) listener(payload);
}

/**
 * As `emit`; where a tab that was never opened has no listener yet, its first one gets the event.
 * @template {keyof ConsoleEvents} K
 * @param {K} type
 * @param {ConsoleEvents[K]} payload
 */
export function emitWhenReady(type, payload) {
  if (listeners.has(type)) emit(type, payload);
  else waiting.set(type, payload);
}
