// Charts over time, as SVG: lines, an area, or bars, with a reading at the pointer and by the arrow keys.

import { h, svg, setText, setAttribute } from "./dom.js";
import { time } from "./format.js";

const height = 168;
const margin = { top: 10, right: 10, bottom: 20, left: 52 };

/** The least round number that is no smaller. */
function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= value);
}

/** The path of a line; it has a gap where a value is missing, and a short mark where both neighbors are. */
function line(values, x, y) {
  let path = "";
  values.forEach((value, index) => {
    if (value === null) return;
    const isFirst = index === 0 || values[index - 1] === null;
    path += `${isFirst ? "M" : "L"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    if (isFirst && (index + 1 === values.length || values[index + 1] === null)) path += "h1.5";
  });
  return path;
}

function area(values, x, y) {
  let path = "";
  let begin = null;
  const close = (end) => {
    path += `L${x(end).toFixed(1)} ${y(0)}L${x(begin).toFixed(1)} ${y(0)}Z`;
  };
  values.forEach((value, index) => {
    if (value === null) {
      if (begin !== null) close(index - 1);
      begin = null;
    } else {
      path += `${begin === null ? "M" : "L"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
      begin ??= index;
    }
  });
  if (begin !== null) close(values.length - 1);
  return path;
}

function bars(values, x, y, width) {
  return values
    .map((value, index) =>
      value ? `M${(x(index) - width / 2).toFixed(1)} ${y(0)}V${y(value).toFixed(1)}h${width.toFixed(1)}V${y(0)}Z` : "",
    )
    .join("");
}

/**
 * Makes a chart.
 *
 * `update({times, series})` draws it; a series has a `name`, a `kind` (`line`, `area` or `bars`), a `look` (a class, for color and dashes)
 * and `values`, one for each time, null where there is none.
 */
export function chart({ label, format, unit }) {
  const grid = svg("g", { class: "grid" });
  const shapes = svg("g");
  const cursor = svg("line", { class: "cursor", y1: margin.top, y2: height - margin.bottom, visibility: "hidden" });
  const picture = svg("svg", { class: "chart", role: "img", height, tabindex: "0" }, grid, shapes, cursor);
  const legend = h("div", { class: "legend" });
  const reading = h("span", { class: "reading" });
  const rows = h("tbody");
  const head = h("tr");
  const details = h(
    "details",
    { class: "chart-data" },
    h("summary", null, "Numbers"),
    h(
      "div",
      {
        class: "table-wrap",
        role: "group",
        tabindex: "0",
        "aria-label": `${label}, numbers`,
      },
      h("table", null, h("caption", { class: "hidden" }, `${label}, the mean of each minute`), h("thead", null, head), rows),
    ),
  );
  const element = h(
    "div",
    { class: "chart-box" },
    h("div", { class: "chart-head" }, h("h3", null, label, " ", h("small", null, unit)), reading),
    picture,
    legend,
    details,
  );
  let data = { times: [], series: [] };
  let at = null;
  let width = 0;

  const plotWidth = () => Math.max(1, width - margin.left - margin.right);
  const x = (index) => margin.left + (plotWidth() * index) / Math.max(1, data.times.length - 1);

  function show(index) {
    at = index;
    const shown = index ?? data.times.length - 1;
    setAttribute(cursor, "visibility", index === null ? "hidden" : "visible");
    if (index !== null) {
      cursor.setAttribute("x1", x(index));
      cursor.setAttribute("x2", x(index));
    }
    setText(reading, data.times.length === 0 ? "" : index === null ? "last 15 minutes" : time(data.times[shown]));
    data.series.forEach((series, position) => {
      const value = index === null ? (series.values.findLast((value) => value !== null) ?? null) : series.values[shown];
      setText(legend.children[position].lastChild, format(value));
    });
  }

  function draw() {
    if (width === 0) return;
    const all = data.series.flatMap(({ values }) => values.filter((value) => value !== null));
    const top = roundUp(Math.max(0, ...all));
    const y = (value) => height - margin.bottom - ((height - margin.top - margin.bottom) * value) / top;
    setAttribute(picture, "viewBox", `0 0 ${width} ${height}`);
    const lines = [];
    for (const part of [0, 0.5, 1]) {
      lines.push(
        svg("line", {
          x1: margin.left,
          x2: width - margin.right,
          y1: y(top * part),
          y2: y(top * part),
          class: part === 0 ? "axis" : "rule",
        }),
        svg("text", { x: margin.left - 6, y: y(top * part) + 3.5, "text-anchor": "end" }, format(top * part).replace(/\.0+(?=\D|$)/, "")),
      );
    }
    const step = data.times.length > 1 ? data.times[1] - data.times[0] : 1;
    data.times.forEach((instant, index) => {
      if (instant % 300_000 !== 0 || index * step < 60_000 || (data.times.length - index) * step < 60_000) return;
      lines.push(svg("text", { x: x(index), y: height - 6, "text-anchor": "middle" }, time(instant).slice(0, 5)));
    });
    grid.replaceChildren(...lines);
    shapes.replaceChildren(
      ...data.series.flatMap(({ kind, look, values }) => {
        if (kind === "bars")
          return [svg("path", { class: `bars ${look}`, d: bars(values, x, y, Math.max(1.5, plotWidth() / data.times.length)) })];
        const stroke = svg("path", { class: `line ${look}`, d: line(values, x, y) });
        return kind === "area" ? [svg("path", { class: `area ${look}`, d: area(values, x, y) }), stroke] : [stroke];
      }),
    );
    show(at);
  }

  /** The mean of each minute, newest first. */
  function fillNumbers() {
    head.replaceChildren(
      h("th", { scope: "col" }, "Time"),
      ...data.series.map(({ name }) => h("th", { scope: "col", class: "number" }, name)),
    );
    const minutes = new Map();
    data.times.forEach((instant, index) => {
      const minute = Math.floor(instant / 60_000);
      if (!minutes.has(minute)) minutes.set(minute, []);
      minutes.get(minute).push(index);
    });
    rows.replaceChildren(
      ...[...minutes].reverse().map(([minute, indexes]) =>
        h(
          "tr",
          null,
          h("th", { scope: "row" }, time(minute * 60_000).slice(0, 5)),
          data.series.map(({ values }) => {
            const present = indexes.map((index) => values[index]).filter((value) => value !== null);
            const mean = present.length === 0 ? null : present.reduce((sum, value) => sum + value, 0) / present.length;
            return h("td", { class: "number" }, format(mean));
          }),
        ),
      ),
    );
  }

  picture.addEventListener("pointermove", (event) => {
    const place = event.clientX - picture.getBoundingClientRect().left - margin.left;
    const index = Math.round((place / plotWidth()) * (data.times.length - 1));
    show(index >= 0 && index < data.times.length ? index : null);
  });
  picture.addEventListener("pointerleave", () => show(null));
  picture.addEventListener("blur", () => show(null));
  picture.addEventListener("keydown", (event) => {
    const last = data.times.length - 1;
    const next = { ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? last) + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") show(null);
    if (next === undefined) return;
    event.preventDefault();
    show(Math.min(last, Math.max(0, next)));
  });
  details.addEventListener("toggle", () => {
    if (details.open) fillNumbers();
  });
  new ResizeObserver(([{ contentRect }]) => {
    width = Math.round(contentRect.width);
    draw();
  }).observe(picture);

  return {
    element,
    update(next) {
      const isSame =
        next.series.length === data.series.length &&
        next.series.every(({ name, look }, index) => name === data.series[index].name && look === data.series[index].look);
      data = next;
      if (!isSame) {
        legend.replaceChildren(
          ...data.series.map(({ name, kind, look }) =>
            h(
              "span",
              { class: "legend-entry" },
              svg(
                "svg",
                { width: 22, height: 10, "aria-hidden": "true" },
                kind === "bars"
                  ? svg("rect", { x: 7, y: 1, width: 8, height: 9, class: `bars ${look}` })
                  : svg("path", { d: "M1 5h20", class: `line ${look}` }),
              ),
              h("span", null, name),
              h("strong"),
            ),
          ),
        );
      }
      const summary = data.series.map(({ name, values }) => {
        const present = values.filter((value) => value !== null);
        return present.length === 0 ? `${name}: none` : `${name}: last ${format(present.at(-1))}, greatest ${format(Math.max(...present))}`;
      });
      setAttribute(picture, "aria-label", `${label}, last 15 minutes, ${unit}. ${summary.join(". ")}`);
      draw();
      if (details.open) fillNumbers();
    },
  };
}

/** A line of a few values, as tall as text. */
export function sparkline(values, width = 88) {
  const tall = 18;
  const top = Math.max(1e-9, ...values.filter((value) => value !== null));
  const x = (index) => 1 + ((width - 2) * index) / Math.max(1, values.length - 1);
  const y = (value) => tall - 2 - ((tall - 4) * value) / top;
  return svg(
    "svg",
    { class: "sparkline", width, height: tall, viewBox: `0 0 ${width} ${tall}`, "aria-hidden": "true" },
    svg("path", { class: "line look-0", d: line(values, x, y) }),
  );
}
