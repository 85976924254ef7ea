// Requests to the node that served this page.

/** A refusal or a failure, in the server's words where there are any. */
export class APIError extends Error {
  constructor(message, { code = "UNREACHABLE", status = 0, requestId = null } = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.requestId = requestId;
  }
}

let onUnauthorized = () => {};

/** Calls a listener at each refusal for want of valid credentials; a log-in that fails is none. */
export function whenUnauthorized(listener) {
  onUnauthorized = listener;
}

/** The difference between the node's clock and the browser's, in milliseconds; the header `Date` has whole seconds. */
let clockOffset = 0;

/** The time on the node's clock, in milliseconds since 1970. */
export function serverNow() {
  return Date.now() + clockOffset;
}

async function request(method, path, { body, headers, signal, timeout = 10_000 } = {}) {
  const signals = [AbortSignal.timeout(timeout)];
  if (signal) signals.push(signal);
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      signal: AbortSignal.any(signals),
      cache: "no-store",
      credentials: "same-origin",
      headers: { ...(method !== "GET" && { "Content-Type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new APIError(
      error.name === "TimeoutError" ? `The node did not answer within ${timeout / 1_000} s.` : "The node cannot be reached.",
    );
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  // Half a second is the mean of what the header leaves out; differences below two seconds are within its precision.
  if (!Number.isNaN(date)) clockOffset = Math.abs(date + 500 - Date.now()) < 2_000 ? 0 : date + 500 - Date.now();
  let document = null;
  try {
    document = text === "" ? null : JSON.parse(text);
  } catch {
    throw new APIError(`The answer to ${path} is not JSON.`, { code: "INVALID_ANSWER", status: response.status });
  }
  // A degraded or unhealthy node answers its own health with 503 and the document.
  if (!response.ok && !(document?.checks && path === "/health")) {
    const error = new APIError(document?.error?.message ?? `The node answered ${response.status}.`, {
      code: document?.error?.code ?? `HTTP ${response.status}`,
      status: response.status,
      requestId: document?.requestId ?? response.headers.get("X-Request-Id"),
    });
    if (response.status === 401 && path !== "/ui/session") onUnauthorized(error);
    throw error;
  }
  return document;
}

export function get(path, options) {
  return request("GET", path, options);
}

export function post(path, body, options) {
  return request("POST", path, { body, ...options });
}

export function remove(path, options) {
  return request("DELETE", path, options);
}

/** A path with its parameters; those without a value are left out. */
export function withQuery(path, parameters) {
  const query = new URLSearchParams(
    Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== ""),
  );
  return query.size > 0 ? `${path}?${query}` : path;
}
