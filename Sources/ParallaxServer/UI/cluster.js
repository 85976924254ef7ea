// The cluster: what `parallax ha status` shows, the health of the answering node, and leadership's commands.

import { get, post } from "./api.js";
import { confirm, problem, toast } from "./dialogs.js";
import { h, panel, setText, status, table } from "./dom.js";
import * as format from "./format.js";
import * as live from "./live.js";
import { leadership, memberTable } from "./overview.js";

const tones = {
  healthy: ["healthy", "Healthy", "good"],
  degraded: ["warning", "Degraded", "warn"],
  unhealthy: ["warning", "Unhealthy", "bad"],
};

async function stepDown() {
  const { status: shown } = live.state;
  const others = (shown?.members ?? []).filter(({ id, status: health }) => id !== shown.leader && health === "healthy");
  const answer = await confirm({
    title: "Step down?",
    text: `${shown?.leader ?? "The leader"} hands leadership over. Executions go on meanwhile.`,
    action: "Step down",
    isDangerous: true,
    fields: [
      { name: "to", label: "Next leader", type: "select", options: [["", "whoever is elected"], ...others.map(({ id }) => [id, id])] },
      { name: "reason", label: "Reason, for the log", type: "text" },
    ],
    // The term that this page shows: a second click ends no second leader.
    perform: ({ to, reason }) =>
      post("/ha/stepdown", { ...(to && { to }), ...(reason && { reason }), ...(shown?.term && { term: shown.term }) }, { timeout: 30_000 }),
  });
  if (!answer) return;
  live.refresh();
  toast(
    answer.new
      ? `${answer.new} leads in term ${answer.term}, after ${format.duration(answer.milliseconds)}.`
      : "Nobody has taken over yet.",
  );
}

async function setPaused(paused) {
  const answer = await confirm({
    title: paused ? "Pause elections?" : "Resume elections?",
    text: paused ? "The present leader goes on; when it ends, no node leads until elections are resumed." : "Nodes may be elected again.",
    action: paused ? "Pause" : "Resume",
    isDangerous: paused,
    perform: () => post(paused ? "/ha/pause" : "/ha/resume"),
  });
  if (!answer) return;
  live.refresh();
  toast(answer.paused ? "Elections are paused." : "Elections go on.");
}

/** The checks of the node that answers. */
function health(signal) {
  const fault = h("div");
  const note = h("span", { class: "note" });
  const checks = table({
    caption: "Checks",
    key: ({ name }) => name,
    empty: "Reading…",
    columns: [
      { title: "Check", isHeader: true, text: ({ name }) => name },
      {
        title: "Status",
        text: (check) => check.status,
        cell: (check) => status(...(tones[check.status] ?? ["pending", check.status, "neutral"])),
      },
      { title: "Finding", text: ({ detail }) => detail ?? format.dash },
    ],
  });
  async function read() {
    try {
      const answer = await get("/health", { signal });
      checks.update(
        Object.entries(answer.checks)
          .map(([name, check]) => ({ name, ...check }))
          .sort((one, other) => (one.name < other.name ? -1 : 1)),
      );
      setText(note, `${answer.nodeId}, version ${answer.version}, up for ${format.span(answer.uptime)}`);
      fault.replaceChildren();
    } catch (error) {
      if (!signal.aborted && !live.age()) fault.replaceChildren(problem(error));
    }
  }
  live.follow(read, signal, { every: 3_000 });
  return panel("Health of the answering node", { actions: note }, fault, checks.element);
}

export function cluster(root, _, signal) {
  const name = h("span");
  const notes = h("div");
  const pause = h("button", { type: "button", onclick: () => setPaused(!live.state.status?.paused) }, "Pause elections…");
  const down = h("button", { type: "button", class: "danger", onclick: stepDown }, "Step down…");
  const actions = live.may("admin") ? h("div", { class: "buttons" }, pause, down) : null;
  root.append(
    h("div", { class: "title" }, h("h1", null, "Cluster ", name), actions),
    notes,
    h("section", { class: "tiles", "aria-label": "Leadership" }, leadership(signal)),
    panel("Members", null, memberTable(signal, { isDetailed: true })),
    health(signal),
  );
  let said = "";
  function update() {
    const { status: shown } = live.state;
    if (!shown) return;
    setText(name, shown.clusterId);
    setText(pause, shown.paused ? "Resume elections…" : "Pause elections…");
    down.disabled = !shown.leader;
    const leaders = [
      ...new Set([...(shown.leader ? [shown.leader] : []), ...shown.members.filter(({ role }) => role === "leader").map(({ id }) => id)]),
    ];
    const texts = [
      leaders.length > 1
        ? `${leaders.length} nodes claim to lead: ${leaders.join(", ")}. Check the network and the store, then: parallax ha elect --force`
        : "",
      shown.paused ? "Elections are paused: if the leader ends, no node takes over." : "",
    ].filter(Boolean);
    if (texts.join("\n") === said) return;
    said = texts.join("\n");
    notes.replaceChildren(...texts.map((text) => h("p", { class: "notice" }, status("warning", text, "warn"))));
  }
  live.on("status", update, signal);
  update();
}
