// Patterns: the list, and one with its definition and its last executions.

import { get, withQuery } from "./api.js";
import { problem } from "./dialogs.js";
import { facts, h, json, panel, setText, table } from "./dom.js";
import { executionColumns } from "./executions.js";
import * as format from "./format.js";
import * as live from "./live.js";

const pageSize = 50;

function agentsOf({ agents: { min, max } }) {
  return min === max ? String(min) : `${min} to ${max}`;
}

function aggregationOf({ aggregation }) {
  return [
    aggregation.strategy,
    aggregation.method,
    aggregation.field ? `by ${aggregation.field}` : null,
    aggregation.threshold ? `from ${aggregation.threshold} on` : null,
  ]
    .filter(Boolean)
    .join(", ");
}

export function patterns(root, route, signal) {
  const search = route.query.get("search") ?? "";
  const offset = Number.parseInt(route.query.get("offset") ?? "", 10) || 0;
  const go = (changes) => {
    location.hash = withQuery("#/patterns", { search, ...changes });
  };
  const text = h("input", { id: "f-search", type: "search", autocomplete: "off", value: search });
  const rows = table({
    caption: "Patterns",
    key: ({ name }) => name,
    empty: "Reading…",
    columns: [
      {
        title: "Pattern",
        isHeader: true,
        text: ({ name }) => name,
        cell: ({ name, description }) =>
          [
            h("a", { href: `#/patterns/${encodeURIComponent(name)}` }, name),
            description ? h("span", { class: "below muted" }, description) : null,
          ].filter(Boolean),
      },
      { title: "Version", text: ({ version }) => version },
      {
        title: "Capabilities",
        class: "wide",
        text: ({ agents }) => agents.capabilities.join(", "),
        cell: ({ agents }) =>
          h(
            "span",
            { class: "chips" },
            agents.capabilities.map((capability) => h("span", { class: "chip" }, capability)),
          ),
      },
      { title: "Agents", class: "number", text: agentsOf },
      { title: "Aggregation", class: "wide", text: aggregationOf },
      {
        title: "Time-out",
        class: "number wide",
        text: ({ timeout }) => (timeout === null || timeout === undefined ? "default" : format.duration(timeout)),
      },
      { title: "Retries", class: "number wide", text: ({ retries }) => retries },
    ],
  });
  const fault = h("div");
  const note = h("span", { class: "note" });
  const pager = h("nav", { class: "pager", "aria-label": "Pages", hidden: true });
  root.append(
    h("h1", null, "Patterns"),
    h(
      "div",
      { class: "search-bar" },
      h(
        "form",
        {
          class: "search",
          role: "search",
          "aria-label": "Search of patterns",
          onsubmit: (event) => {
            event.preventDefault();
            go({ search: text.value.trim() });
          },
        },
        h("p", { class: "field" }, h("label", { for: "f-search" }, "Name or description"), text),
        h("button", { type: "submit", class: "primary" }, "Search"),
      ),
    ),
    panel("Found", { actions: note }, fault, rows.element, pager),
  );
  async function load() {
    try {
      const page = await get(withQuery("/api/patterns", { search, limit: pageSize, offset }), { signal });
      rows.say(search ? "No pattern matches." : "There is no pattern yet: parallax patterns apply FILE stores one.");
      rows.update(page.patterns);
      setText(note, `${format.count(page.total)} in all`);
      pager.hidden = page.total <= pageSize;
      pager.replaceChildren(
        h(
          "button",
          { type: "button", disabled: offset === 0, onclick: () => go({ offset: offset > pageSize ? offset - pageSize : "" }) },
          "Previous",
        ),
        h(
          "button",
          { type: "button", disabled: offset + page.patterns.length >= page.total, onclick: () => go({ offset: offset + pageSize }) },
          "Next",
        ),
      );
      fault.replaceChildren();
    } catch (error) {
      if (!signal.aborted) {
        rows.say("Unknown");
        fault.replaceChildren(problem(error));
      }
    }
  }
  rows.update([]);
  live.follow(load, signal, { on: ({ type, channel }) => channel === "cluster" && type === "pattern" });
}

export function pattern(root, route, signal) {
  const name = route.parts[0];
  const fault = h("div");
  const content = h("div");
  root.append(h("p", { class: "crumbs" }, h("a", { href: "#/patterns" }, "Patterns")), h("h1", null, name), fault, content);
  const recent = table({
    caption: "Recent executions",
    key: ({ executionId }) => executionId,
    columns: executionColumns({ hasPattern: false }),
    empty: "There is none.",
  });
  let shown = [];
  let drawn = "";
  async function load() {
    try {
      const definition = await get(withQuery(`/api/patterns/${encodeURIComponent(name)}`, { version: route.query.get("version") }), {
        signal,
      });
      const page = await get(withQuery("/api/executions", { pattern: name, limit: 10 }), { signal });
      shown = page.executions;
      recent.update(shown);
      fault.replaceChildren();
      const text = JSON.stringify(definition);
      if (text === drawn) return;
      drawn = text;
      content.replaceChildren(
        definition.description ? h("p", { class: "lead" }, definition.description) : "",
        facts([
          ["Version", definition.version],
          [
            "Capabilities",
            h(
              "span",
              { class: "chips" },
              definition.agents.capabilities.map((capability) =>
                h("a", { class: "chip", href: `#/agents?capabilities=${encodeURIComponent(capability)}` }, capability),
              ),
            ),
          ],
          ["Agents", agentsOf(definition)],
          ["Aggregation", aggregationOf(definition)],
          [
            "Time-out",
            definition.timeout === null || definition.timeout === undefined ? "the node's default" : format.duration(definition.timeout),
          ],
          ["Retries", String(definition.retries)],
        ]),
        panel(
          "Recent executions",
          { actions: h("a", { href: `#/executions?pattern=${encodeURIComponent(name)}` }, "All") },
          recent.element,
        ),
        panel("Definition", null, json(definition, "Definition")),
      );
    } catch (error) {
      if (!signal.aborted) fault.replaceChildren(problem(error, drawn ? null : "This pattern cannot be shown"));
    }
  }
  live.follow(load, signal, { every: 5_000, onTick: () => recent.update(shown) });
}
