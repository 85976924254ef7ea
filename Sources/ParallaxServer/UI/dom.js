// Elements, and their updates in place. What the server says becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Makes an HTML element; a function as an attribute, such as `onclick`, becomes a listener. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Makes an SVG element. */
export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Sets the text of a node unless it has it already, so that a selection survives. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Makes the children of a parent those of the items, in their order; elements of known keys are kept and updated. */
export function reconcile(parent, items, keyOf, create, update) {
  const known = parent.byKey ?? new Map();
  const next = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    // The same item twice, as of an agent that is on its way to another node.
    if (next.has(key)) continue;
    const element = known.get(key) ?? create(item);
    update?.(element, item);
    next.set(key, element);
    if (element === place) place = place.nextSibling;
    else parent.insertBefore(element, place);
  }
  for (const [key, element] of known) if (next.get(key) !== element) element.remove();
  parent.byKey = next;
}

/**
 * A table whose rows are updated in place.
 *
 * A column has a `title`, and for an item a `text`; `cell` makes an element in place of the text, again whenever the text changes.
 */
export function table({ caption, columns, key, empty }) {
  const body = h("tbody");
  const head = h(
    "tr",
    null,
    columns.map((column) => h("th", { scope: "col", class: column.class }, column.title)),
  );
  const element = h(
    "div",
    { class: "table-wrap", role: "group", "aria-label": caption, tabindex: "0" },
    h("table", null, h("caption", { class: "hidden" }, caption), h("thead", null, head), body),
  );
  const none = h("p", { class: "empty", hidden: true }, empty ?? "None");
  const create = () =>
    h(
      "tr",
      null,
      columns.map((column) =>
        h(column.isHeader ? "th" : "td", {
          class: column.class,
          scope: column.isHeader ? "row" : null,
        }),
      ),
    );
  const update = (row, item) => {
    columns.forEach((column, index) => {
      const cell = row.cells[index];
      const text = String(column.text(item) ?? "");
      if (cell.shown === text) return;
      cell.shown = text;
      if (column.cell) cell.replaceChildren(...[column.cell(item)].flat());
      else setText(cell, text);
    });
  };
  return {
    element: h("div", null, element, none),
    update(items) {
      reconcile(body, items, key, create, update);
      none.hidden = items.length > 0;
      element.hidden = items.length === 0;
    },
    say(text) {
      setText(none, text);
    },
  };
}

/** A titled part of a page; `asOf` shows the time of old content. */
export function panel(title, attributes, ...children) {
  const id = `panel-${title.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  const { actions, ...rest } = attributes ?? {};
  return h(
    "section",
    { ...rest, class: `panel ${rest.class ?? ""}`, "aria-labelledby": id },
    h("div", { class: "panel-head" }, h("h2", { id }, title), h("span", { class: "as-of" }), actions),
    ...children,
  );
}

const paths = {
  completed: [
    ["circle", { cx: 8, cy: 8, r: 7 }],
    ["path", { d: "m4.8 8.2 2.2 2.2 4.2-4.6" }],
  ],
  failed: [
    ["circle", { cx: 8, cy: 8, r: 7 }],
    ["path", { d: "m5.5 5.5 5 5m0-5-5 5" }],
  ],
  timed_out: [
    ["circle", { cx: 8, cy: 8, r: 7 }],
    ["path", { d: "M8 4.2V8l2.6 1.8" }],
  ],
  cancelled: [
    ["circle", { cx: 8, cy: 8, r: 7 }],
    ["path", { d: "M4.5 8h7" }],
  ],
  running: [
    ["circle", { cx: 8, cy: 8, r: 7 }],
    ["path", { d: "M6.5 5.2v5.6L11 8z", class: "solid" }],
  ],
  aggregating: [
    ["circle", { cx: 8, cy: 8, r: 7 }],
    ["path", { d: "M10.4 5H5.8L8.4 8l-2.6 3h4.6" }],
  ],
  pending: [["circle", { cx: 8, cy: 8, r: 7, "stroke-dasharray": "2.4 2" }]],
  healthy: [["path", { d: "M1.5 8.5h3L6.6 4l3 8.2 2-3.7h2.9" }]],
  warning: [
    ["path", { d: "M8 1.8 15 14H1z" }],
    ["path", { d: "M8 6v4m0 1.6v.6" }],
  ],
  leader: [["path", { d: "M2 12.5h12M2.5 10 2 4.5l3.5 2.4L8 3l2.5 3.9L14 4.5 13.5 10z" }]],
  standby: [["path", { d: "M4 3v10M12 3v10" }]],
  idle: [["circle", { cx: 8, cy: 8, r: 6 }]],
  busy: [
    ["circle", { cx: 8, cy: 8, r: 6 }],
    ["circle", { cx: 8, cy: 8, r: 3.2, class: "solid" }],
  ],
  draining: [["path", { d: "M8 2v8m0 0L4.5 6.5M8 10l3.5-3.5M2.5 13.5h11" }]],
  disconnected: [["path", { d: "M3 3l10 10M6 4.2A6 6 0 0 1 14 8a6 6 0 0 1-1 2.6M4.2 5.6A6 6 0 0 0 8 14" }]],
  sun: [
    ["circle", { cx: 8, cy: 8, r: 3 }],
    ["path", { d: "M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8 13 13M13 3l-1.2 1.2M4.2 11.8 3 13" }],
  ],
  moon: [["path", { d: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z" }]],
  system: [
    ["rect", { x: 1.5, y: 2.5, width: 13, height: 9, rx: 1.5 }],
    ["path", { d: "M5.5 14h5" }],
  ],
};

/** A small picture; its meaning is always beside it as text. */
export function icon(name) {
  const shapes = paths[name] ?? paths.pending;
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" },
    shapes.map(([tag, attributes]) => svg(tag, attributes)),
  );
}

/** A status as picture, word and color. */
export function status(name, label, tone) {
  return h("span", { class: `status tone-${tone}` }, icon(name), label);
}

/** A short text in the font of ids, with a button that copies it. */
export function copyable(text, what) {
  // Browsers give the clipboard to pages over HTTPS and of this machine.
  if (!navigator.clipboard) return "";
  const button = h(
    "button",
    {
      type: "button",
      class: "quiet small",
      "aria-label": `Copy ${what}`,
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(text);
          setText(button, "Copied");
        } catch {
          setText(button, "Not allowed");
        }
        setTimeout(() => setText(button, "Copy"), 1500);
      },
    },
    "Copy",
  );
  return button;
}

/** The longest text that a page shows of a document. */
const shownCharacters = 100_000;

/** A JSON value, indented, with a button that copies all of it. */
export function json(value, what) {
  const text = JSON.stringify(value, null, 2) ?? "";
  const isCut = text.length > shownCharacters;
  return h(
    "div",
    { class: "json" },
    copyable(text, what),
    h("pre", { tabindex: "0", role: "group", "aria-label": what }, isCut ? text.slice(0, shownCharacters) : text),
    isCut
      ? h(
          "p",
          { class: "note" },
          `The first ${shownCharacters.toLocaleString("en")} of ${text.length.toLocaleString("en")} characters; ` +
            "Copy takes all of them.",
        )
      : null,
  );
}

/** A list of names and values. */
export function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs.filter(Boolean).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
  );
}
