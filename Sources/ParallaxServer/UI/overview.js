// The overview: who leads, what runs, what waits and why, and what happens.

import { get, serverNow } from "./api.js";
import { chart, sparkline } from "./charts.js";
import { problem } from "./dialogs.js";
import { h, panel, reconcile, setAttribute, setText, status, table } from "./dom.js";
import * as format from "./format.js";
import * as live from "./live.js";

const ended = ["completed", "failed", "timedOut", "cancelled"];
const statusOf = { completed: "completed", failed: "failed", timedOut: "timed_out", cancelled: "cancelled" };

const sum = (samples, field) => samples.reduce((total, sample) => total + (sample?.[field] ?? 0), 0);
const all = (sample) => ended.reduce((total, field) => total + sample[field], 0);

/** A value with its name, and a line beneath it. */
function tile(name, attributes) {
  const value = h("strong", { class: "value" });
  const note = h("span", { class: "tile-note" });
  return { element: h("div", { class: "tile", ...attributes }, h("span", { class: "tile-name" }, name), value, note), value, note };
}

/** The tiles about leadership, also on the page of the cluster. */
export function leadership(signal) {
  const leader = tile("Leader");
  const term = tile("Term", { class: "tile is-long" });
  const lease = tile("Lease remaining");
  const members = tile("Members");
  const rest = h("span");
  const gauge = h("span", { class: "gauge", "aria-hidden": "true" }, rest);
  lease.element.append(gauge);
  let longest = 0;

  const update = () => {
    const { status: shown } = live.state;
    if (!shown) return;
    const old = live.age();
    const remaining = live.leaseRemaining();
    const isExpired = remaining === 0;
    const known = shown.leader !== null && shown.leader !== undefined;
    setText(leader.value, known ? shown.leader : old ? "Unknown" : "None");
    leader.element.classList.toggle("tone-bad", !known && !old);
    leader.element.classList.toggle("doubtful", known && (Boolean(old) || isExpired));
    setText(
      leader.note,
      old
        ? "not confirmed"
        : isExpired
          ? "its lease has run out"
          : shown.paused
            ? "elections are paused"
            : known
              ? "holds a valid lease"
              : "recovery waits for one",
    );
    setText(term.value, shown.term === null || shown.term === undefined ? format.dash : String(shown.term));
    setText(term.note, format.plural(shown.transitions, "transition"));
    longest = Math.max(longest, shown.leaseRemaining ?? 0);
    setText(lease.value, remaining === null ? (old ? "Unknown" : format.dash) : `${(remaining / 1_000).toFixed(1)} s`);
    setText(
      lease.note,
      old ? "no news of its renewal" : remaining === null ? "no leader" : isExpired ? "not renewed" : "until its renewal",
    );
    gauge.hidden = remaining === null;
    rest.style.width = `${longest > 0 && remaining !== null ? Math.min(100, (100 * remaining) / longest) : 0}%`;
    const healthy = shown.members.filter((member) => member.status === "healthy").length;
    setText(members.value, `${healthy} of ${shown.members.length}`);
    setText(members.note, healthy === shown.members.length ? "all healthy" : `${shown.members.length - healthy} unhealthy`);
    members.element.classList.toggle("tone-bad", healthy < shown.members.length);
  };
  live.on("status", update, signal);
  live.on("connection", update, signal);
  const counting = setInterval(update, matchMedia("(prefers-reduced-motion: reduce)").matches ? 1_000 : 200);
  signal.addEventListener("abort", () => clearInterval(counting));
  update();
  return [leader, term, lease, members].map(({ element }) => element);
}

/** The table of members, also on the page of the cluster. */
export function memberTable(signal, { isDetailed = false } = {}) {
  const load = (member) => live.lastSamples().get(member.id);
  const rate = (member) => {
    const sample = load(member);
    return sample ? (all(sample) * 1_000) / live.state.interval : null;
  };
  const old = () => Boolean(live.age());
  const members = table({
    caption: "Members",
    key: (member) => member.id,
    empty: "No member is known.",
    columns: [
      { title: "Node", isHeader: true, text: ({ id }) => id },
      {
        title: "Health",
        text: ({ status: health }) => `${health} ${old()}`,
        cell: ({ status: health }) =>
          status(
            health === "healthy" ? "healthy" : "warning",
            health === "healthy" ? "Healthy" : "Unhealthy",
            old() ? "neutral" : health === "healthy" ? "good" : "bad",
          ),
      },
      {
        title: "Role",
        text: ({ role }) => `${role} ${old()}`,
        cell: ({ role }) =>
          role === "leader"
            ? status("leader", old() ? "Leader, last known" : "Leader", old() ? "neutral" : "info")
            : status("standby", "Standby", "plain"),
      },
      {
        title: "Last seen",
        class: "number",
        text: ({ lastSeen }) =>
          format.ago(lastSeen === null || lastSeen === undefined ? null : lastSeen + Date.now() - live.state.statusAt),
      },
      ...(isDetailed
        ? [
            { title: "Address", class: "mono wide", text: ({ address }) => address },
            { title: "Term", class: "number wide", text: ({ term }) => term ?? format.dash },
          ]
        : []),
      { title: "Agents", class: "number", text: (member) => format.count(load(member)?.agents) },
      { title: "Running", class: "number", text: (member) => format.count(load(member)?.running) },
      { title: "Waiting", class: "number wide", text: (member) => format.count(load(member)?.waiting) },
      { title: "Ended/s", class: "number", text: (member) => format.decimal(rate(member)) },
      ...(isDetailed
        ? []
        : [
            {
              title: "15 minutes",
              class: "wide",
              text: (member) => String(load(member)?.t ?? "none"),
              cell: (member) => {
                const samples = live.series().nodes.get(member.id) ?? [];
                return sparkline(samples.map((sample) => (sample ? all(sample) : null)));
              },
            },
          ]),
    ],
  });
  const update = () => members.update(live.state.status?.members ?? []);
  for (const kind of ["status", "activity", "tick"]) live.on(kind, update, signal);
  update();
  return members.element;
}

/** The charts, for the cluster or a line for each node. */
function charts(signal) {
  const throughput = chart({ label: "Throughput", unit: "executions that ended, per second", format: format.decimal });
  const latency = chart({ label: "Latency", unit: "from request to end", format: format.duration });
  const fault = h("div");
  let byNode = false;
  const choice = (value, text, isChecked) =>
    h(
      "label",
      null,
      h("input", {
        type: "radio",
        name: "chart-scope",
        value,
        checked: isChecked,
        onchange: () => {
          byNode = value === "nodes";
          update();
        },
      }),
      h("span", null, text),
    );
  const switcher = h(
    "fieldset",
    { class: "segments" },
    h("legend", { class: "hidden" }, "Show charts"),
    choice("cluster", "Cluster", true),
    choice("nodes", "Each node", false),
  );

  function update() {
    const { times, nodes } = live.series();
    const seconds = live.state.interval / 1_000;
    const columns = times.map((_, index) => [...nodes.values()].map((samples) => samples[index]).filter(Boolean));
    if (byNode) {
      // Six looks in turn; more nodes than that repeat them, and the legend still names each.
      const looks = [...nodes].map(([name, samples], index) => ({ name, samples, look: `look-${index % 6}` }));
      throughput.update({
        times,
        series: looks.map(({ name, samples, look }) => ({
          name,
          look,
          kind: "line",
          values: samples.map((sample) => (sample ? all(sample) / seconds : null)),
        })),
      });
      latency.update({
        times,
        series: looks.map(({ name, samples, look }) => ({
          name: `${name}, p99`,
          look,
          kind: "line",
          values: samples.map((sample) => sample?.p99 ?? null),
        })),
      });
    } else {
      throughput.update({
        times,
        series: [
          {
            name: "All",
            kind: "area",
            look: "look-0",
            values: columns.map((samples) => (samples.length ? samples.reduce((total, sample) => total + all(sample), 0) / seconds : null)),
          },
          {
            name: "Failed or timed out",
            kind: "bars",
            look: "look-bad",
            values: columns.map((samples) => (samples.length ? (sum(samples, "failed") + sum(samples, "timedOut")) / seconds : null)),
          },
        ],
      });
      latency.update({
        times,
        series: [
          {
            name: "p99, of the slowest node",
            kind: "line",
            look: "look-1",
            values: columns.map((samples) => {
              const values = samples.map(({ p99 }) => p99).filter((value) => value !== null && value !== undefined);
              return values.length ? Math.max(...values) : null;
            }),
          },
          {
            name: "p50, mean of the nodes",
            kind: "line",
            look: "look-0",
            values: columns.map((samples) => {
              const weighed = samples.filter(({ p50 }) => p50 !== null && p50 !== undefined);
              const weight = weighed.reduce((total, sample) => total + all(sample), 0);
              return weight ? weighed.reduce((total, sample) => total + sample.p50 * all(sample), 0) / weight : null;
            }),
          },
        ],
      });
    }
    fault.replaceChildren(...(live.state.activityError ? [problem(live.state.activityError, "The history cannot be read")] : []));
  }
  live.on("activity", update, signal);
  update();
  return panel(
    "Activity",
    { class: "span-2", actions: switcher },
    fault,
    h("div", { class: "chart-pair" }, throughput.element, latency.element),
  );
}

/** Executions by state: those at work now, and those that ended within the window of the charts. */
function states(signal) {
  const bar = h("div", { class: "stack", "aria-hidden": "true" });
  const rows = h("ul", { class: "states" });
  const total = h("p", { class: "note" });

  function update() {
    const latest = [...live.lastSamples().values()];
    const samples = [...live.state.activity.values()].flat().filter(({ t }) => t > serverNow() - 15 * 60_000);
    const counts = [
      ["pending", latest.length ? sum(latest, "waiting") : null, "now"],
      ["running", latest.length ? sum(latest, "running") : null, "now"],
      ...ended.map((field) => [statusOf[field], sum(samples, field), "15 min"]),
    ];
    const finished = counts.slice(2).reduce((result, [, number]) => result + number, 0);
    reconcile(
      rows,
      counts,
      ([name]) => name,
      ([name]) => {
        const [label, tone] = format.executionStatuses[name];
        return h(
          "li",
          null,
          h("a", { href: `#/executions?status=${name}` }, status(name, label, tone)),
          h("span", { class: "share" }),
          h("strong", { class: "value" }),
        );
      },
      (row, [, number, period]) => {
        setText(row.children[1], period === "now" ? "now" : `${format.percent(number, finished)} of 15 min`);
        setText(row.children[2], format.count(number));
      },
    );
    reconcile(
      bar,
      counts.slice(2).filter(([, number]) => number > 0),
      ([name]) => name,
      ([name]) => h("span", { class: `fill-${format.executionStatuses[name][1]}` }),
      (part, [, number]) => {
        part.style.flexGrow = String(Math.max(number, finished / 200));
      },
    );
    bar.hidden = finished === 0;
  }

  async function count() {
    try {
      const page = await get("/api/executions?limit=1", { signal });
      setText(total, `${format.count(page.total)} executions are stored.`);
    } catch {
      // The number stays; the panels that need the store say what is wrong.
    }
  }
  for (const kind of ["activity", "tick"]) live.on(kind, update, signal);
  live.follow(count, signal, { every: 10_000 });
  update();
  return panel("Executions by state", null, bar, rows, total);
}

function queues(signal) {
  const fault = h("div");
  const caption = h("span", { class: "note" });
  const waiting = table({
    caption: "Queues",
    key: (queue) => queue.capabilities.join("\n"),
    empty: "Nothing waits.",
    columns: [
      { title: "Capabilities", isHeader: true, text: ({ capabilities }) => capabilities.join(", ") },
      { title: "Waiting", class: "number", text: (queue) => format.count(queue.waiting) },
      { title: "Running", class: "number", text: (queue) => format.count(queue.running) },
      {
        title: "Oldest",
        class: "number",
        text: ({ oldestSince }) => (oldestSince ? format.span(serverNow() - Date.parse(oldestSince)) : format.dash),
      },
      {
        title: "Why it waits",
        text: ({ reason, waiting: number }) => `${number > 0 ? reason : ""}`,
        cell: ({ reason, waiting: number }) =>
          !reason || number === 0
            ? format.dash
            : status("warning", format.waitReasons[reason] ?? reason, reason === "no_agent" ? "bad" : "warn"),
      },
    ],
  });
  async function update() {
    try {
      const answer = await get("/api/queues", { signal });
      const sorted = answer.queues.toSorted((one, other) => other.waiting - one.waiting || other.running - one.running);
      waiting.update(sorted.slice(0, 50));
      setText(
        caption,
        `at ${answer.queues[0]?.nodeId ?? live.state.session.node}` +
          (sorted.length > 50 ? `; the 50 longest of ${sorted.length}` : ""),
      );
      fault.replaceChildren();
    } catch (error) {
      if (!signal.aborted && !live.age()) fault.replaceChildren(problem(error));
    }
  }
  waiting.update([]);
  live.follow(update, signal, { every: 3_000 });
  return panel("Queues", { actions: caption }, fault, waiting.element);
}

// MARK: Events

const agentEvents = { registered: "registered", changed: "changed", left: "left" };
const clusterEvents = {
  elected: (event) => `${event.id} leads` + (event.details?.term ? ` in term ${event.details.term}` : ""),
  stepped_down: (event) => `${event.id} no longer leads`,
  joined: (event) => `${event.id} joined`,
  left: (event) => `${event.id} left`,
  pattern: (event) => `pattern ${event.id} was stored`,
};

/** What an event says, as parts of a sentence. */
function sentence(event) {
  if (event.channel === "execution") {
    const [label, tone] = format.executionStatuses[event.type] ?? [event.type, "neutral"];
    return [
      status(event.type, label, tone),
      " ",
      h("a", { class: "mono", href: `#/executions/${encodeURIComponent(event.id)}` }, event.id),
      event.details?.pattern ? h("span", { class: "muted" }, ` ${event.details.pattern}`) : null,
    ];
  }
  if (event.channel === "agent") {
    return [
      status(event.type === "left" ? "disconnected" : "idle", "Agent", "plain"),
      " ",
      h("a", { class: "mono", href: `#/agents/${encodeURIComponent(event.id)}` }, event.id),
      ` ${agentEvents[event.type] ?? event.type}`,
      event.type === "left" && event.details?.graceful === false ? " without saying so" : "",
      h("span", { class: "muted" }, ` at ${event.nodeId}`),
    ];
  }
  return [status("leader", "Cluster", "plain"), ` ${clusterEvents[event.type]?.(event) ?? `${event.type} ${event.id}`}`];
}

function events(signal) {
  const list = h("ol", { class: "events", "aria-label": "Recent events", tabindex: "0" });
  const none = h("p", { class: "empty" }, "Nothing has happened since this page was opened.");
  const shown = { execution: true, agent: true, cluster: true };
  let isHeld = false;
  const update = () => {
    if (isHeld) return;
    const chosen = live.state.events.filter((event) => shown[event.channel]).slice(0, 60);
    reconcile(
      list,
      chosen,
      ({ key }) => key,
      (event) =>
        h(
          "li",
          null,
          h(
            "time",
            { datetime: event.timestamp, title: format.moment(Date.parse(event.timestamp)) },
            format.time(Date.parse(event.timestamp)),
          ),
          h("span", null, sentence(event)),
        ),
    );
    none.hidden = chosen.length > 0;
    list.hidden = chosen.length === 0;
  };
  const hold = h(
    "button",
    {
      type: "button",
      class: "quiet small",
      "aria-pressed": "false",
      onclick: () => {
        isHeld = !isHeld;
        setAttribute(hold, "aria-pressed", String(isHeld));
        update();
      },
    },
    "Hold",
  );
  const filters = Object.keys(shown).map((channel) =>
    h(
      "label",
      { class: "check" },
      h("input", {
        type: "checkbox",
        checked: true,
        onchange: (event) => {
          shown[channel] = event.target.checked;
          update();
        },
      }),
      { execution: "Executions", agent: "Agents", cluster: "Cluster" }[channel],
    ),
  );
  live.on("events", update, signal);
  update();
  return panel("Events", { actions: h("div", { class: "filters" }, filters, hold) }, list, none);
}

/** The page. */
export function overview(root, _, signal) {
  const work = [tile("Agents connected"), tile("Running"), tile("Waiting"), tile("Ended per second")];
  const update = () => {
    const latest = [...live.lastSamples().values()];
    const numbers =
      latest.length === 0
        ? [null, null, null, null]
        : [
            sum(latest, "agents"),
            sum(latest, "running"),
            sum(latest, "waiting"),
            (latest.reduce((total, sample) => total + all(sample), 0) * 1_000) / live.state.interval,
          ];
    for (const [index, { value }] of work.entries()) {
      setText(value, index === 3 ? format.decimal(numbers[index]) : format.count(numbers[index]));
    }
    setText(work[0].note, latest.length === 0 ? "no report yet" : `at ${format.plural(latest.length, "node")}`);
    setText(work[1].note, "have agents");
    setText(work[2].note, "have no agents yet");
    setText(work[3].note, "over the last 5 s");
  };
  for (const kind of ["activity", "tick"]) live.on(kind, update, signal);
  update();
  root.append(
    h("h1", null, "Overview"),
    h(
      "section",
      { class: "tiles", "aria-label": "Now" },
      leadership(signal),
      work.map(({ element }) => element),
    ),
    h(
      "div",
      { class: "grid-2" },
      charts(signal),
      panel("Members", { class: "span-2" }, memberTable(signal)),
      h("div", { class: "column" }, states(signal), queues(signal)),
      events(signal),
    ),
  );
}
