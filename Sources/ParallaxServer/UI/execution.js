// One execution: its course, its tasks, its input and result, and what can be done about it.

import { get, post, serverNow } from "./api.js";
import { confirm, problem, toast } from "./dialogs.js";
import { copyable, facts, h, icon, json, panel, status, table } from "./dom.js";
import * as format from "./format.js";
import * as live from "./live.js";

const partStatuses = {
  pending: ["running", "At work", "info"],
  completed: ["completed", "Completed", "good"],
  failed: ["failed", "Failed", "bad"],
  cancelled: ["cancelled", "Cancelled", "neutral"],
};

function when(instant) {
  return h("time", { datetime: instant, title: instant }, format.moment(Date.parse(instant)));
}

function step(name, tone, title, instant, ...notes) {
  return h(
    "li",
    { class: `step tone-${tone}` },
    h("span", { class: "step-icon" }, icon(name)),
    h(
      "div",
      null,
      h("p", null, h("strong", null, title), instant ? [" ", h("span", { class: "muted" }, when(instant))] : null),
      notes.map(
        (note) =>
          note &&
          h(
            "p",
            {
              class: "note",
            },
            note,
          ),
      ),
    ),
  );
}

/** Why an execution waits, from the queues of the node that answers. */
function waitNote(execution, pattern, queues) {
  if (!pattern || !queues) return null;
  const wanted = pattern.agents.capabilities.toSorted().join("\n");
  const queue = queues.find(({ capabilities }) => capabilities.toSorted().join("\n") === wanted);
  const needs = `It needs ${format.plural(pattern.agents.min, "agent")} with ${pattern.agents.capabilities.join(", ")}.`;
  const reason = queue?.reason ? `${format.waitReasons[queue.reason] ?? queue.reason}. ` : "";
  const line =
    queue && queue.nodeId === execution.nodeId && queue.waiting > 1
      ? ` ${queue.waiting} executions wait for the same agents at ${queue.nodeId}.`
      : "";
  return `${reason}${needs}${line}`;
}

function timeline(execution, reason) {
  const [label, tone] = format.executionStatuses[execution.status] ?? [execution.status, "neutral"];
  const created = Date.parse(execution.createdAt);
  const started = execution.startedAt ? Date.parse(execution.startedAt) : null;
  const ended = execution.completedAt ? Date.parse(execution.completedAt) : null;
  const steps = [
    step("pending", "neutral", "Created", execution.createdAt, `Accepted; pattern ${execution.pattern.name} ${execution.pattern.version}.`),
  ];
  if (started !== null) {
    steps.push(
      step(
        "running",
        "info",
        "Started",
        execution.startedAt,
        `After ${format.duration(started - created)} of waiting; ${format.plural(
          execution.agents.length,
          "agent has",
          "agents have",
        )} had a task${execution.attempt > 1 ? `, up to attempt ${execution.attempt}` : ""}.`,
      ),
    );
  } else if (ended === null) {
    steps.push(
      step("warning", "warn", `Waiting for ${format.span(serverNow() - created)}`, null, reason ?? "Its agents are not free yet."),
    );
  }
  for (const part of execution.agents) {
    const [name, word, partTone] = partStatuses[part.status] ?? ["pending", part.status, "neutral"];
    steps.push(
      step(
        name,
        partTone,
        `${word}: agent ${part.id}`,
        null,
        [
          part.duration !== null && part.duration !== undefined ? `${format.duration(part.duration)} of work. ` : "",
          part.confidence !== null && part.confidence !== undefined ? `Confidence ${part.confidence}. ` : "",
          part.error ? `${part.error.code}: ${part.error.message}` : "",
        ].join(""),
      ),
    );
  }
  if (execution.status === "aggregating") steps.push(step("aggregating", "info", "Aggregating the results", null));
  if (ended !== null) {
    steps.push(
      step(
        execution.status,
        tone,
        label,
        execution.completedAt,
        `${format.duration(ended - created)} after its creation${
          started !== null ? `, ${format.duration(ended - started)} after its start` : ", without a start"
        }.`,
        execution.error ? `${execution.error.code}: ${execution.error.message}` : null,
      ),
    );
  } else if (started !== null) {
    steps.push(step(execution.status, tone, `${label} for ${format.span(serverNow() - started)}`, null));
  }
  return h("ol", { class: "timeline" }, steps);
}

function tasks(execution) {
  const longest = Math.max(1, ...execution.agents.map(({ duration }) => duration ?? 0));
  const rows = table({
    caption: "Tasks",
    key: ({ index }) => index,
    empty: "No agent has a task yet.",
    columns: [
      {
        title: "Agent",
        isHeader: true,
        text: ({ id }) => id,
        cell: ({ id }) => h("a", { class: "mono", href: `#/agents/${encodeURIComponent(id)}` }, id),
      },
      {
        title: "Status",
        text: (part) => part.status,
        cell: (part) => status(...(partStatuses[part.status] ?? ["pending", part.status, "neutral"])),
      },
      { title: "Work", class: "number", text: ({ duration }) => format.duration(duration) },
      {
        title: "Share",
        class: "wide",
        text: ({ duration }) => duration ?? "",
        cell: ({ duration }) => {
          const fill = h("span");
          fill.style.width = `${(100 * (duration ?? 0)) / longest}%`;
          return h("span", { class: "gauge", "aria-hidden": "true" }, fill);
        },
      },
      { title: "Confidence", class: "number wide", text: ({ confidence }) => confidence ?? format.dash },
      {
        title: "Result or error",
        text: (part) => (part.error ? `${part.error.code}: ${part.error.message}` : JSON.stringify(part.result ?? null)),
        cell: (part) => {
          if (part.error) {
            return part.error.details === undefined || part.error.details === null
              ? h("span", null, `${part.error.code}: ${part.error.message}`)
              : h(
                  "details",
                  null,
                  h("summary", null, `${part.error.code}: ${part.error.message}`),
                  json(part.error.details, `Details of ${part.id}`),
                );
          }
          if (part.result === null || part.result === undefined) return format.dash;
          const text = JSON.stringify(part.result);
          if (text.length <= 60) return h("code", null, text);
          return h(
            "details",
            null,
            h("summary", null, h("code", null, `${text.slice(0, 60)}…`)),
            json(part.result, `Result of ${part.id}`),
          );
        },
      },
    ],
  });
  // An execution may have a thousand tasks.
  const shown = 200;
  rows.update(execution.agents.slice(0, shown).map((part, index) => ({ ...part, index })));
  return [
    rows.element,
    execution.agents.length > shown ? h("p", { class: "note" }, `The first ${shown} of ${execution.agents.length} tasks.`) : null,
  ];
}

export function execution(root, route, signal) {
  const id = route.parts[0];
  const fault = h("div");
  const content = h("div");
  const actions = h("div", { class: "buttons" });
  root.append(
    h("p", { class: "crumbs" }, h("a", { href: "#/executions" }, "Executions")),
    h("div", { class: "title" }, h("h1", { class: "mono" }, id), copyable(id, "the id"), actions),
    fault,
    content,
  );

  let shown = null;
  let pattern = null;
  let queues = null;
  let drawn = "";

  function draw() {
    const isOver = format.endedStatuses.has(shown.status);
    const [label, tone] = format.executionStatuses[shown.status] ?? [shown.status, "neutral"];
    // One that has a result runs again only by a new request. A button that stays keeps the focus.
    const action = !live.may("execute") || shown.status === "completed" ? null : isOver ? "Retry…" : "Cancel…";
    if (action !== (actions.firstChild?.textContent ?? null)) {
      const button = { "Retry…": { onclick: retry }, "Cancel…": { class: "danger", onclick: cancel } }[action];
      actions.replaceChildren(...(button ? [h("button", { type: "button", ...button }, action)] : []));
    }
    const open = new Set([...content.querySelectorAll("details[open]")].map((details) => details.dataset.id));
    content.replaceChildren(
      facts([
        ["Status", status(shown.status, label, tone)],
        [
          "Pattern",
          [h("a", { href: `#/patterns/${encodeURIComponent(shown.pattern.name)}` }, shown.pattern.name), ` ${shown.pattern.version}`],
        ],
        [
          "Duration",
          shown.duration !== null && shown.duration !== undefined
            ? format.duration(shown.duration)
            : isOver
              ? format.dash
              : `${format.span(serverNow() - Date.parse(shown.createdAt))} so far`,
        ],
        ["Attempt", String(shown.attempt)],
        [isOver ? "Ended at node" : "Owner", shown.nodeId],
        ["Created", when(shown.createdAt)],
      ]),
      h(
        "div",
        { class: "grid-2" },
        panel("Timeline", null, timeline(shown, waitNote(shown, pattern, queues))),
        h(
          "div",
          { class: "column" },
          shown.error
            ? panel(
                "Error",
                { class: "is-error" },
                h("p", null, h("code", null, shown.error.code), " ", shown.error.message),
                shown.error.details === null || shown.error.details === undefined
                  ? null
                  : json(shown.error.details, "Details of the error"),
              )
            : null,
          shown.result === null || shown.result === undefined ? null : panel("Result", null, json(shown.result, "Result")),
          panel("Input", null, json(shown.input, "Input")),
          shown.metadata === null || shown.metadata === undefined ? null : panel("Metadata", null, json(shown.metadata, "Metadata")),
        ),
        panel("Tasks", { class: "span-2" }, tasks(shown)),
      ),
    );
    [...content.querySelectorAll("details")].forEach((details, index) => {
      details.dataset.id = String(index);
      details.open = open.has(details.dataset.id);
    });
  }

  async function load() {
    try {
      shown = await get(`/api/executions/${encodeURIComponent(id)}`, { signal });
      if (shown.status === "pending") {
        pattern ??= await get(
          `/api/patterns/${encodeURIComponent(shown.pattern.name)}?version=${encodeURIComponent(shown.pattern.version)}`,
          { signal },
        ).catch(() => null);
        queues = await get("/api/queues", { signal })
          .then((answer) => answer.queues)
          .catch(() => null);
      }
      fault.replaceChildren();
      // What has ended does not change: its page is not drawn again, so that a selection and the focus stay.
      const text = JSON.stringify([shown, queues]);
      if (text === drawn && format.endedStatuses.has(shown.status)) return;
      drawn = text;
      draw();
    } catch (error) {
      if (!signal.aborted) fault.replaceChildren(problem(error, shown ? null : "This execution cannot be shown"));
    }
  }

  async function cancel() {
    const answer = await confirm({
      title: "Cancel this execution?",
      text: `${id} ends without a result; its agents are told to stop.`,
      action: "Cancel the execution",
      isDangerous: true,
      perform: () => post(`/api/executions/${encodeURIComponent(id)}/cancel`, undefined, { timeout: 30_000 }),
    });
    if (answer) toast(`${id} is cancelled.`);
    read();
  }

  async function retry() {
    const answer = await confirm({
      title: "Run it again?",
      text: `A new execution of ${shown.pattern.name} ${shown.pattern.version} begins with the same input. ${id} stays as it is.`,
      action: "Run again",
      perform: () => post(`/api/executions/${encodeURIComponent(id)}/retry`),
    });
    if (!answer) return;
    toast(`${answer.newExecutionId} runs in place of ${id}.`);
    location.hash = `#/executions/${encodeURIComponent(answer.newExecutionId)}`;
  }

  const isOpen = () => shown !== null && !format.endedStatuses.has(shown.status);
  const read = live.follow(load, signal, { on: (event) => event.channel === "execution" && event.id === id, every: 3_000, isOpen });
}
