// Questions to the server as JSON, and the way to its streams. A token, where one is needed, stays in this tab.

const TOKEN_KEY = "liqscape.token";
const SUBPROTOCOL = "liqscape.v1";
const TIMEOUT_MS = 20_000;
const OPEN_TIMEOUT_MS = 10_000;

/** The server refused a question, or cannot be reached. */
export class Refused extends Error {
  /**
   * @param {string} code of gRPC, or UNREACHABLE
   * @param {string} message
   * @param {number | undefined} [retryAfterMs]
   */
  constructor(code, message, retryAfterMs) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** @returns {Record<string, string>} */
function authorization() {
  const token = sessionStorage.getItem(TOKEN_KEY);
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

export function hasToken() {
  return sessionStorage.getItem(TOKEN_KEY) !== null;
}

/** @param {string} token */
export function setToken(token) {
  sessionStorage.setItem(TOKEN_KEY, token.trim());
}

/**
 * Ask a question.
 * @param {string} path
 * @param {Record<string, string | number | readonly (string | number)[] | undefined>} [parameters] empty ones are left out
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 * @throws {Refused}
 */
export async function ask(path, parameters = {}, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    const text = Array.isArray(value) ? value.join(",") : value === undefined ? "" : String(value);
    if (text !== "") query.set(name, text);
  }
  return answered(`${path}?${query}`, { headers: authorization() }, signal);
}

/**
 * @param {string} address
 * @param {RequestInit} options
 * @param {AbortSignal} [signal]
 */
async function answered(address, options, signal) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(address, { ...options, signal: signal ? AbortSignal.any([signal, timeout]) : timeout });
    if (response.ok) return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused("UNREACHABLE", "the server does not answer");
  }
  const said = await response.json().catch(() => ({}));
  const { code = `HTTP ${response.status}`, message = response.statusText, retry_after_ms: retry } = said.error ?? {};
  throw new Refused(code, message, retry);
}

/** Open the stream of what is now. */
export function openStream() {
  return openSocket("/v1/stream");
}

/** Open a playback of the past. */
export function openPlayback() {
  return openSocket("/v1/playback");
}

/**
 * Open a WebSocket; resolves once it is open.
 * @param {string} path
 * @returns {Promise<WebSocket>}
 */
async function openSocket(path) {
  const address = new URL(path, location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  if (hasToken()) {
    const { ticket } = await answered("/v1/ticket", { method: "POST", headers: authorization() });
    address.searchParams.set("ticket", ticket);
  }
  const socket = new WebSocket(address, SUBPROTOCOL);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.close(), OPEN_TIMEOUT_MS);
    socket.onopen = () => {
      clearTimeout(timer);
      resolve(socket);
    };
    socket.onclose = ({ code, reason }) => {
      clearTimeout(timer);
      reject(Object.assign(new Error(reason || "the server cannot be reached"), { code }));
    };
  });
}

/**
 * Return whether a failure means that a token is wanted.
 * @param {Refused} error
 */
export function wantsToken(error) {
  return error.code === "UNAUTHENTICATED";
}
