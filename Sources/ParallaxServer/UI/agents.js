// Agents: what they can do, where they are, and how much they have to do.

import { get, post, serverNow, withQuery } from "./api.js";
import { confirm, problem, toast } from "./dialogs.js";
import { copyable, facts, h, json, panel, setText, status, table } from "./dom.js";
import * as format from "./format.js";
import * as live from "./live.js";

const pageSize = 100;

function agentStatus(name) {
  return status(name, ...(format.agentStatuses[name] ?? [name, "neutral"]));
}

function loadOf({ activeTasks, maxConcurrentTasks }) {
  const fill = h("span");
  fill.style.width = `${Math.min(100, (100 * activeTasks) / Math.max(1, maxConcurrentTasks))}%`;
  return h(
    "span",
    { class: "load" },
    h("span", { class: "gauge", "aria-hidden": "true" }, fill),
    `${activeTasks} of ${maxConcurrentTasks}`,
  );
}

/** The tasks that an agent has completed: only the node that holds its connection counts them. */
function completedBy({ nodeId, tasksCompleted }) {
  return tasksCompleted === 0 && nodeId !== live.state.session.node ? format.dash : format.count(tasksCompleted);
}

async function disconnect(agent) {
  const answer = await confirm({
    title: "Disconnect this agent?",
    text: `The node closes the connection of ${agent.id}. Its tasks go to other agents as the pattern allows.`,
    action: "Disconnect",
    isDangerous: true,
    perform: () => post(`/api/agents/${encodeURIComponent(agent.id)}/disconnect`),
  });
  if (answer) toast(answer.disconnected ? `${agent.id} is disconnected.` : `${agent.id} was not connected.`);
  return answer;
}

export function agents(root, route, signal) {
  const value = (name) => route.query.get(name) ?? "";
  const offset = Number.parseInt(value("offset"), 10) || 0;
  const go = (changes) => {
    location.hash = withQuery("#/agents", { status: value("status"), capabilities: value("capabilities"), ...changes });
  };
  const state = h(
    "select",
    { id: "f-status" },
    [["", "Any"], ...Object.entries(format.agentStatuses).map(([key, [label]]) => [key, label])].map(([key, label]) =>
      h("option", { value: key, selected: value("status") === key }, label),
    ),
  );
  const capabilities = h("input", {
    id: "f-capabilities",
    type: "text",
    autocomplete: "off",
    spellcheck: "false",
    value: value("capabilities"),
  });
  const filter = h(
    "form",
    {
      class: "search",
      role: "search",
      "aria-label": "Filter of agents",
      onsubmit: (event) => {
        event.preventDefault();
        go({ status: state.value, capabilities: capabilities.value.trim() });
      },
    },
    h("p", { class: "field" }, h("label", { for: "f-status" }, "Status"), state),
    h("p", { class: "field" }, h("label", { for: "f-capabilities" }, "Capabilities, separated by commas"), capabilities),
    h("button", { type: "submit", class: "primary" }, "Filter"),
    route.query.size > 0 ? h("a", { class: "button", href: "#/agents" }, "Clear") : null,
  );

  const rows = table({
    caption: "Agents",
    key: ({ id }) => id,
    empty: "Reading…",
    columns: [
      { title: "Status", text: ({ status: name }) => name, cell: ({ status: name }) => agentStatus(name) },
      {
        title: "Agent",
        isHeader: true,
        text: ({ id, name }) => `${id} ${name}`,
        cell: ({ id, name }) =>
          [
            h("a", { class: "mono", href: `#/agents/${encodeURIComponent(id)}` }, id),
            name && name !== id ? h("span", { class: "muted" }, ` ${name}`) : null,
          ].filter(Boolean),
      },
      {
        title: "Capabilities",
        class: "wide",
        text: (agent) => agent.capabilities.join(", "),
        cell: (agent) =>
          h(
            "span",
            { class: "chips" },
            agent.capabilities.map((capability) => h("span", { class: "chip" }, capability)),
          ),
      },
      { title: "Node", class: "wide", text: ({ nodeId }) => nodeId },
      { title: "Tasks", text: ({ activeTasks, maxConcurrentTasks }) => `${activeTasks} of ${maxConcurrentTasks}`, cell: loadOf },
      { title: "Completed", class: "number wide", text: completedBy },
      {
        title: "Last heard",
        class: "number wide",
        text: ({ lastHeartbeat }) => (lastHeartbeat ? format.ago(serverNow() - Date.parse(lastHeartbeat)) : format.dash),
      },
      ...(live.may("admin")
        ? [
            {
              title: "Action",
              text: ({ status: name }) => name === "disconnected",
              cell: (agent) =>
                agent.status === "disconnected"
                  ? ""
                  : h(
                      "button",
                      {
                        type: "button",
                        class: "quiet small",
                        "aria-label": `Disconnect ${agent.id}…`,
                        onclick: async () => {
                          if (await disconnect(agent)) read();
                        },
                      },
                      "Disconnect…",
                    ),
            },
          ]
        : []),
    ],
  });
  const fault = h("div");
  const note = h("span", { class: "note" });
  const pager = h("nav", { class: "pager", "aria-label": "Pages", hidden: true });
  root.append(
    h("h1", null, "Agents"),
    h("div", { class: "search-bar" }, filter),
    panel("Found", { actions: note }, fault, rows.element, pager),
  );

  let shown = [];
  async function load() {
    try {
      const page = await get(
        withQuery("/api/agents", {
          status: value("status"),
          capabilities: value("capabilities"),
          limit: pageSize,
          offset,
        }),
        { signal },
      );
      shown = page.agents;
      rows.say(route.query.size > 0 ? "No agent matches." : "No agent has connected yet.");
      rows.update(shown);
      setText(
        note,
        `${format.count(page.total)} in all: ${format.count(page.connected)} connected, ${format.count(page.disconnected)} not`,
      );
      pager.hidden = page.total <= pageSize;
      // A pager with the focus stays as it is.
      if (!pager.contains(document.activeElement)) {
        pager.replaceChildren(
          h(
            "span",
            { class: "note" },
            `${format.count(Math.min(offset + 1, page.total))} to ${format.count(offset + shown.length)} of ${format.count(page.total)}`,
          ),
          h(
            "button",
            { type: "button", disabled: offset === 0, onclick: () => go({ offset: offset > pageSize ? offset - pageSize : "" }) },
            "Previous",
          ),
          h(
            "button",
            { type: "button", disabled: offset + shown.length >= page.total, onclick: () => go({ offset: offset + pageSize }) },
            "Next",
          ),
        );
      }
      fault.replaceChildren();
    } catch (error) {
      if (!signal.aborted) {
        fault.replaceChildren(problem(error));
        rows.say("Unknown");
        rows.update(shown);
      }
    }
  }
  // Loads change without an event.
  const read = live.follow(load, signal, {
    on: ({ channel }) => channel === "agent",
    every: 5_000,
    pause: 2_000,
    onTick: () => rows.update(shown),
  });
}

export function agent(root, route, signal) {
  const id = route.parts[0];
  const fault = h("div");
  const content = h("div");
  const actions = h("div", { class: "buttons" });
  root.append(
    h("p", { class: "crumbs" }, h("a", { href: "#/agents" }, "Agents")),
    h("div", { class: "title" }, h("h1", { class: "mono" }, id), copyable(id, "the id"), actions),
    fault,
    content,
  );
  let drawn = "";
  async function load() {
    try {
      const shown = await get(`/api/agents/${encodeURIComponent(id)}`, { signal });
      fault.replaceChildren();
      const text = JSON.stringify(shown);
      if (text === drawn) return;
      drawn = text;
      actions.replaceChildren(
        ...(live.may("admin") && shown.status !== "disconnected"
          ? [
              h(
                "button",
                {
                  type: "button",
                  class: "danger",
                  onclick: async () => {
                    if (await disconnect(shown)) read();
                  },
                },
                "Disconnect…",
              ),
            ]
          : []),
      );
      content.replaceChildren(
        facts([
          ["Status", agentStatus(shown.status)],
          shown.name ? ["Name", shown.name] : null,
          ["Node", shown.nodeId],
          ["Tasks", loadOf(shown)],
          ["Completed", completedBy(shown)],
          ["Connected", format.moment(Date.parse(shown.connectedAt))],
          ["Last heard", shown.lastHeartbeat ? format.moment(Date.parse(shown.lastHeartbeat)) : "unknown to this node"],
        ]),
        panel(
          "Capabilities",
          null,
          h(
            "span",
            { class: "chips" },
            shown.capabilities.map((capability) =>
              h("a", { class: "chip", href: `#/agents?capabilities=${encodeURIComponent(capability)}` }, capability),
            ),
          ),
        ),
        shown.metadata === null || shown.metadata === undefined ? "" : panel("Metadata", null, json(shown.metadata, "Metadata")),
      );
    } catch (error) {
      if (!signal.aborted) fault.replaceChildren(problem(error, drawn ? null : "This agent cannot be shown"));
    }
  }
  const read = live.follow(load, signal, { on: (event) => event.channel === "agent" && event.id === id, every: 5_000 });
}
