// The list of executions: search by id, status, pattern and time; pages by cursor.

import { get, serverNow, withQuery } from "./api.js";
import { problem } from "./dialogs.js";
import { h, panel, setText, status, table } from "./dom.js";
import * as format from "./format.js";
import * as live from "./live.js";

const pageSize = 50;
const spans = { "15m": ["the last 15 minutes", 15 * 60_000], "1h": ["the last hour", 3_600_000], "24h": ["the last day", 86_400_000] };

/** The columns of a table of executions, also on the page of a pattern. */
export function executionColumns({ hasPattern = true } = {}) {
  return [
    {
      title: "Status",
      text: ({ status: name }) => name,
      cell: ({ status: name }) => status(name, ...(format.executionStatuses[name] ?? [name, "neutral"])),
    },
    {
      title: "Execution",
      isHeader: true,
      text: ({ executionId }) => executionId,
      cell: ({ executionId, pattern }) => [
        h("a", { class: "mono", href: `#/executions/${encodeURIComponent(executionId)}` }, executionId),
        h("span", { class: "narrow-only muted" }, pattern.name),
      ],
    },
    ...(hasPattern
      ? [
          {
            title: "Pattern",
            class: "wide",
            text: ({ pattern }) => `${pattern.name} ${pattern.version}`,
            cell: ({ pattern }) => [
              h("a", { href: `#/patterns/${encodeURIComponent(pattern.name)}` }, pattern.name),
              h("span", { class: "muted" }, ` ${pattern.version}`),
            ],
          },
        ]
      : []),
    {
      title: "Created",
      class: "number",
      text: ({ createdAt }) => format.ago(serverNow() - Date.parse(createdAt)),
      cell: ({ createdAt }) =>
        h("time", { datetime: createdAt, title: format.moment(Date.parse(createdAt)) }, format.ago(serverNow() - Date.parse(createdAt))),
    },
    {
      title: "Duration",
      class: "number",
      text: (execution) =>
        format.duration(
          execution.duration ??
            (format.endedStatuses.has(execution.status) ? null : Math.max(0, serverNow() - Date.parse(execution.createdAt))),
        ),
    },
    { title: "Agents", class: "number wide", text: ({ agents }) => agents.length },
    { title: "Attempt", class: "number wide", text: ({ attempt }) => attempt },
    { title: "Node", class: "wide", text: ({ nodeId }) => nodeId },
  ];
}

/** `2026-11-30T12:00` of a field, in the browser's zone, as an instant of the API; null without one. */
function instant(local) {
  const milliseconds = Date.parse(local ?? "");
  return Number.isNaN(milliseconds) ? null : new Date(milliseconds).toISOString();
}

export function executions(root, route, signal) {
  const query = route.query;
  const value = (name) => query.get(name) ?? "";
  const go = (changes) => {
    const next = {
      status: value("status"),
      pattern: value("pattern"),
      span: value("span"),
      since: value("since"),
      until: value("until"),
      cursor: value("cursor"),
      ...changes,
    };
    location.hash = withQuery("#/executions", next);
  };

  const field = (id, label, input) => h("p", { class: "field" }, h("label", { for: id }, label), input);
  const selected = (name, options) =>
    options.map(([option, label]) => h("option", { value: option, selected: value(name) === option }, label));
  const names = h("datalist", { id: "pattern-names" });
  const since = h("input", { id: "f-since", type: "datetime-local", value: value("since") });
  const until = h("input", { id: "f-until", type: "datetime-local", value: value("until") });
  const custom = h(
    "div",
    { class: "fields", hidden: value("span") !== "custom" },
    field("f-since", "From", since),
    field("f-until", "To", until),
  );
  const span = h(
    "select",
    {
      id: "f-span",
      onchange: () => {
        custom.hidden = span.value !== "custom";
      },
    },
    selected("span", [
      ["", "Any"],
      ...Object.entries(spans).map(([key, [label]]) => [key, label[0].toUpperCase() + label.slice(1)]),
      ["custom", "From … to …"],
    ]),
  );
  const state = h(
    "select",
    { id: "f-status" },
    selected("status", [["", "Any"], ...Object.entries(format.executionStatuses).map(([key, [label]]) => [key, label])]),
  );
  const pattern = h("input", { id: "f-pattern", type: "text", list: "pattern-names", autocomplete: "off", value: value("pattern") });
  const id = h("input", { id: "f-id", type: "search", placeholder: "exec_…", autocomplete: "off", spellcheck: "false" });
  const find = h(
    "form",
    {
      class: "search",
      role: "search",
      "aria-label": "Execution by id",
      onsubmit: (event) => {
        event.preventDefault();
        if (id.value.trim()) location.hash = `#/executions/${encodeURIComponent(id.value.trim())}`;
      },
    },
    field("f-id", "Execution id", id),
    h("button", { type: "submit" }, "Open"),
  );
  const filter = h(
    "form",
    {
      class: "search",
      role: "search",
      "aria-label": "Filter of executions",
      onsubmit: (event) => {
        event.preventDefault();
        const isCustom = span.value === "custom";
        go({
          status: state.value,
          pattern: pattern.value.trim(),
          span: span.value,
          since: isCustom ? since.value : "",
          until: isCustom ? until.value : "",
          cursor: "",
        });
      },
    },
    field("f-status", "Status", state),
    field("f-pattern", "Pattern", pattern),
    names,
    field("f-span", "Created", span),
    custom,
    h("button", { type: "submit", class: "primary" }, "Filter"),
    [...query.keys()].length > 0 ? h("a", { class: "button", href: "#/executions" }, "Clear") : null,
  );

  const rows = table({ caption: "Executions", key: ({ executionId }) => executionId, columns: executionColumns(), empty: "Reading…" });
  const fault = h("div");
  const note = h("span", { class: "note" });
  const older = h("button", { type: "button", disabled: true }, "Older");
  const isFirst = !query.has("cursor");
  const pager = h(
    "nav",
    { class: "pager", "aria-label": "Pages" },
    isFirst
      ? h("span", { class: "note" }, "Newest first; this page follows what happens.")
      : [
          h("button", { type: "button", onclick: () => go({ cursor: "" }) }, "Newest"),
          h("button", { type: "button", onclick: () => history.back() }, "Newer"),
        ],
    older,
  );
  root.append(
    h("h1", null, "Executions"),
    h("div", { class: "search-bar" }, filter, find),
    panel("Found", { actions: note }, fault, rows.element, pager),
  );

  let shown = [];
  async function load() {
    try {
      const chosen = spans[value("span")];
      const page = await get(
        withQuery("/api/executions", {
          status: value("status"),
          pattern: value("pattern"),
          limit: pageSize,
          cursor: value("cursor"),
          since: chosen ? new Date(serverNow() - chosen[1]).toISOString() : instant(value("since")),
          until: instant(value("until")),
        }),
        { signal },
      );
      shown = page.executions;
      rows.say(query.size > 0 ? "No execution matches." : "There is no execution yet.");
      rows.update(shown);
      setText(
        note,
        page.total !== null && page.total !== undefined
          ? `${format.count(page.total)} in all`
          : `${shown.length}${page.hasMore ? " of more" : ""}`,
      );
      older.disabled = !page.nextCursor;
      older.onclick = () => go({ cursor: page.nextCursor });
      fault.replaceChildren();
    } catch (error) {
      if (!signal.aborted) {
        fault.replaceChildren(problem(error));
        rows.say("Unknown");
        rows.update(shown);
      }
    }
  }
  // The first page follows events, at most one reading in two seconds; further pages stay as they are.
  live.follow(load, signal, {
    on: ({ channel }) => isFirst && channel === "execution",
    pause: 2_000,
    onTick: () => rows.update(shown),
  });
  get("/api/patterns?limit=100", { signal })
    .then(({ patterns }) => {
      names.replaceChildren(...patterns.map(({ name }) => h("option", { value: name })));
    })
    .catch(() => {});
}
