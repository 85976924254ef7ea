// What the page knows of the cluster, how it hears of changes, and since when its knowledge is old.

import { get, serverNow, whenUnauthorized } from "./api.js";

const statusInterval = 2_000;
/** The age of the last answer beyond which what is shown counts as old, whatever the cause: also after the computer has slept. */
const oldAfter = 8_000;
const window = 15 * 60_000;
const keptEvents = 200;
/** Types of events by which nodes talk to each other; they mean nothing to a reader. */
const internalTypes = new Set(["activity", "loads", "marker", "loads_wanted", "connection_ended"]);

export const state = {
  session: null,
  /** The last answer of `/ha/status`, and when its request was sent. */
  status: null,
  statusAt: 0,
  /** When the node answered last. */
  answeredAt: null,
  isFailing: false,
  isStreaming: false,
  /** Samples by node, oldest first, each with `t`, its time in milliseconds. */
  activity: new Map(),
  activityError: null,
  interval: 5_000,
  /** Events, newest first. */
  events: [],
};

const listeners = new Map();

/** Calls a listener at each news of a kind: `status`, `activity`, `events`, `gap`, `connection`, `tick`, `unauthorized`. */
export function on(kind, listener, signal) {
  if (!listeners.has(kind)) listeners.set(kind, new Set());
  listeners.get(kind).add(listener);
  signal?.addEventListener("abort", () => listeners.get(kind).delete(listener));
}

function emit(kind, detail) {
  for (const listener of listeners.get(kind) ?? []) listener(detail);
}

/**
 * Reads now, at each gap, regularly and after events, until the signal aborts. One reading runs at a time: a wish during one leads to one
 * more after it, so that no older answer is painted over a newer one.
 *
 * `on` selects events; `pause` is the least time between readings for events, `every` the time between regular ones while `isOpen`, in
 * milliseconds. A hidden page reads only at gaps. Returns the function that asks for a reading.
 */
export function follow(read, signal, { on: concerns = () => false, every = Infinity, pause = 0, isOpen = () => true, onTick } = {}) {
  let isReading = false;
  let isWanted = false;
  let isDue = false;
  let readAt = 0;
  async function ask() {
    isWanted = true;
    if (isReading) return;
    isReading = true;
    while (isWanted && !signal.aborted) {
      isWanted = false;
      isDue = false;
      readAt = performance.now();
      await read();
    }
    isReading = false;
  }
  on(
    "events",
    (events) => {
      if (!events.some(concerns)) return;
      if (pause === 0) ask();
      else isDue = true;
    },
    signal,
  );
  on("gap", ask, signal);
  on(
    "tick",
    () => {
      onTick?.();
      if (document.hidden || isReading) return;
      const elapsed = performance.now() - readAt;
      if ((isDue && elapsed >= pause) || (elapsed >= every && isOpen())) ask();
    },
    signal,
  );
  ask();
  return ask;
}

let isActivityPending = false;

/** Tells of new samples, once for those of all nodes. */
function emitActivity() {
  if (isActivityPending) return;
  isActivityPending = true;
  setTimeout(() => {
    isActivityPending = false;
    dropSilentNodes();
    emit("activity");
  }, 250);
}

function dropSilentNodes() {
  const oldest = newest() - window;
  for (const [node, samples] of state.activity) if ((samples.at(-1)?.t ?? 0) < oldest) state.activity.delete(node);
}

/** Whether the caller has a scope, or one that includes it. */
export function may(scope) {
  const scopes = state.session?.scopes ?? [];
  if (scopes.includes("admin") && scope !== "agent") return true;
  return scopes.includes(scope) || (scope === "read" && scopes.includes("execute"));
}

/**
 * Why and since when what is shown is old; null while it is not.
 *
 * `lost`: the node does not answer. `stale`: the node answers, but its store does not answer it.
 */
export function age() {
  const silence = state.answeredAt === null ? 0 : Date.now() - state.answeredAt;
  if ((state.isFailing && silence >= statusInterval / 2) || silence > oldAfter) return { reason: "lost", since: state.answeredAt };
  if (state.status?.stale) {
    const since = Date.parse(state.status.staleSince ?? "");
    return { reason: "stale", since: Number.isNaN(since) ? null : since - (serverNow() - Date.now()) };
  }
  return null;
}

/** The milliseconds that the leader's lease lasts without a renewal; null if that is unknown. Counts from before the request was sent. */
export function leaseRemaining() {
  const { status } = state;
  if (!status?.leader || status.leaseRemaining === null || status.leaseRemaining === undefined || age()) return null;
  return Math.max(0, status.leaseRemaining - (Date.now() - state.statusAt));
}

/** The last sample of each node that reported within the last three intervals. */
export function lastSamples() {
  const latest = newest();
  const found = new Map();
  for (const [node, samples] of state.activity) {
    const sample = samples.at(-1);
    if (sample && latest - sample.t < 3 * state.interval) found.set(node, sample);
  }
  return found;
}

/** The time of the newest sample, or now if there is none that is new. */
export function newest() {
  let latest = 0;
  for (const samples of state.activity.values()) latest = Math.max(latest, samples.at(-1)?.t ?? 0);
  return Math.max(latest, serverNow() - 2 * state.interval);
}

/**
 * The times of the chart's points, oldest first, and the samples of each node at them; null where a node has none.
 *
 * Each node counts its own five seconds: at a point stands the sample that is nearest to it. The last point is one that every node which
 * reports has reached, so that a sum of nodes does not seem to fall at its end.
 */
export function series() {
  const { interval } = state;
  const points = window / interval;
  const reached = Math.min(newest(), ...[...lastSamples().values()].map(({ t }) => t));
  const begin = Math.round(reached / interval) - points + 1;
  const times = Array.from({ length: points }, (_, index) => (begin + index) * interval);
  const nodes = new Map();
  for (const node of [...state.activity.keys()].sort()) {
    const samples = state.activity.get(node);
    let next = 0;
    const distance = (index, time) => (index < samples.length ? Math.abs(samples[index].t - time) : Infinity);
    nodes.set(
      node,
      times.map((time) => {
        while (distance(next + 1, time) <= distance(next, time) && next + 1 < samples.length) next += 1;
        return distance(next, time) <= 0.75 * interval ? samples[next] : null;
      }),
    );
  }
  return { times, nodes };
}

// MARK: Running

let running = null;
let wake = () => {};

/** Begins to poll and to listen. */
export function start() {
  stop();
  running = new AbortController();
  const { signal } = running;
  // The status may be open to everybody, so that only other answers tell of the end of a session.
  whenUnauthorized((error) => {
    if (signal.aborted) return;
    stop();
    emit("unauthorized", error);
  });
  poll(signal);
  listen(signal);
  const ticking = setInterval(() => emit("tick"), 500);
  signal.addEventListener("abort", () => clearInterval(ticking));
  document.addEventListener(
    "visibilitychange",
    () => {
      if (!document.hidden) reread();
    },
    { signal },
  );
}

/** Ends everything, and forgets what was heard. */
export function stop() {
  running?.abort();
  running = null;
  state.status = null;
  state.answeredAt = null;
  state.isFailing = false;
  state.isStreaming = false;
  state.activity.clear();
  state.events = [];
}

/** Asks for the status now, not at its next turn. */
export function refresh() {
  wake();
}

function reread() {
  refresh();
  readActivity();
  emit("gap");
}

async function poll(signal) {
  while (!signal.aborted) {
    const sent = Date.now();
    try {
      const status = await get("/ha/status", { signal, timeout: 4_000 });
      state.status = status;
      state.statusAt = sent;
      state.answeredAt = Date.now();
      const wasFailing = state.isFailing;
      state.isFailing = false;
      if (wasFailing) reread();
      emit("status");
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) return;
      if (error.status === 403) return emit("unauthorized", error);
      state.answeredAt ??= Date.now();
      // A refusal is an answer, though no status.
      state.isFailing = error.status === 0;
    }
    emit("connection");
    if (!document.hidden && Date.now() - activityAt > 3 * state.interval) readActivity();
    await new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, document.hidden ? 5 * statusInterval : statusInterval);
      wake = done;
      signal.addEventListener("abort", done);
    });
  }
}

/** When samples were heard last, or asked for: without a stream they are read. */
let activityAt = 0;

async function readActivity() {
  const signal = running?.signal;
  activityAt = Date.now();
  try {
    const answer = await get("/api/activity", { signal });
    state.interval = answer.interval;
    state.activityError = null;
    for (const [node, samples] of Object.entries(answer.nodes)) for (const sample of samples) add(node, sample);
    dropSilentNodes();
    emit("activity");
  } catch (error) {
    if (signal?.aborted) return;
    state.activityError = error;
    emit("activity");
  }
}

function add(node, sample) {
  const t = Date.parse(sample.at);
  if (Number.isNaN(t)) return;
  if (!state.activity.has(node)) state.activity.set(node, []);
  const samples = state.activity.get(node);
  let index = samples.length;
  while (index > 0 && samples[index - 1].t > t) index -= 1;
  if (samples[index - 1]?.t === t) return;
  samples.splice(index, 0, { ...sample, t });
  const oldest = serverNow() - window - 60_000;
  while (samples.length > 0 && samples[0].t < oldest) samples.shift();
}

function listen(signal) {
  let attempts = 0;
  let pending = [];
  let isFlushing = false;

  // A node may publish thousands of events in a second; the page changes four times in that time.
  const flush = () => {
    isFlushing = false;
    if (signal.aborted || pending.length === 0) return;
    const events = pending.reverse();
    pending = [];
    state.events = [...events, ...state.events].slice(0, keptEvents);
    emit("events", events);
  };

  const take = (channel, message) => {
    let event;
    try {
      event = { ...JSON.parse(message.data), channel, key: message.lastEventId || `${channel} ${performance.now()}` };
    } catch {
      return;
    }
    if (event.type === "activity" && event.details) {
      activityAt = Date.now();
      add(event.id, event.details);
      emitActivity();
    }
    if (channel === "cluster" && ["elected", "stepped_down", "joined", "left"].includes(event.type)) refresh();
    if (internalTypes.has(event.type)) return;
    pending.push(event);
    if (pending.length > keptEvents) pending.shift();
    if (!isFlushing) {
      isFlushing = true;
      setTimeout(flush, 250);
    }
  };

  const connect = () => {
    if (signal.aborted) return;
    const source = new EventSource("/api/events");
    const close = () => source.close();
    signal.addEventListener("abort", close, { once: true });
    const set = (isStreaming) => {
      state.isStreaming = isStreaming;
      emit("connection");
    };
    source.addEventListener("open", () => {
      // A stream that a browser opens again by itself resumes; a new one begins without what was missed.
      if (attempts > 0) reread();
      attempts = 0;
      set(true);
    });
    source.addEventListener("gap", reread);
    for (const channel of ["execution", "agent", "cluster"]) source.addEventListener(channel, (message) => take(channel, message));
    source.addEventListener("error", () => {
      if (signal.aborted) return;
      set(false);
      refresh();
      // After an answer that is no stream the browser does not try again; a request tells whether the session has ended.
      if (source.readyState !== EventSource.CLOSED) return;
      readActivity();
      signal.removeEventListener("abort", close);
      attempts += 1;
      setTimeout(connect, Math.min(15_000, 1_000 * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2));
    });
  };

  readActivity();
  connect();
}
