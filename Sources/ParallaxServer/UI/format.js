// Numbers, times and words as the page shows them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit" });

export const dash = "–";

export function count(value) {
  return value === null || value === undefined ? dash : whole.format(value);
}

/** A rate or another small number, with as many digits as it has meaning. */
export function decimal(value) {
  if (value === null || value === undefined) return dash;
  return value >= 100 ? whole.format(value) : value >= 10 ? value.toFixed(1) : value === 0 ? "0" : value.toFixed(2);
}

/** Milliseconds, in the unit that fits. */
export function duration(ms) {
  if (ms === null || ms === undefined) return dash;
  if (ms < 1) return ms === 0 ? "0 ms" : `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${ms < 10 && ms % 1 ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return span(ms);
}

/** A time of minutes and more, in two units. */
export function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds / 3_600) % 24} h`;
}

export function ago(ms) {
  if (ms === null || ms === undefined) return dash;
  if (ms < 1_000) return "now";
  return ms < 3_600_000 && ms >= 60_000 ? `${Math.floor(ms / 60_000)} min ago` : `${span(ms)} ago`;
}

/** The time of day, in the browser's zone. */
export function time(date) {
  return clock.format(date);
}

/** The date and the time of day, in the browser's zone. */
export function moment(date) {
  return `${day.format(date)} ${clock.format(date)}`;
}

export function percent(part, all) {
  if (!all) return dash;
  const share = (100 * part) / all;
  return share > 0 && share < 0.1 ? "<0.1 %" : `${share.toFixed(share >= 99.95 || share === 0 ? 0 : 1)} %`;
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** The statuses of executions: their words and tones. */
export const executionStatuses = {
  pending: ["Waiting", "neutral"],
  running: ["Running", "info"],
  aggregating: ["Aggregating", "info"],
  completed: ["Completed", "good"],
  failed: ["Failed", "bad"],
  timed_out: ["Timed out", "warn"],
  cancelled: ["Cancelled", "neutral"],
};

export const endedStatuses = new Set(["completed", "failed", "timed_out", "cancelled"]);

export const agentStatuses = {
  idle: ["Idle", "good"],
  busy: ["Busy", "info"],
  draining: ["Draining", "warn"],
  disconnected: ["Disconnected", "bad"],
};

/** Why executions wait. */
export const waitReasons = {
  no_agent: "Too few connected agents have these capabilities",
  all_busy: "All agents with these capabilities are busy",
};
