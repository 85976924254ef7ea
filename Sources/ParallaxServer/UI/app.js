// The frame of the dashboard: the session, the routes, the banner, the theme.

import { get, remove } from "./api.js";
import { agent, agents } from "./agents.js";
import { cluster } from "./cluster.js";
import { problem, toast } from "./dialogs.js";
import { h, icon, setAttribute, setText } from "./dom.js";
import { execution } from "./execution.js";
import { executions } from "./executions.js";
import * as format from "./format.js";
import * as live from "./live.js";
import { login } from "./login.js";
import { overview } from "./overview.js";
import { pattern, patterns } from "./patterns.js";

const element = (id) => document.getElementById(id);
const main = element("main");

// MARK: Routes

const routes = [
  [/^\/?$/, "Overview", overview],
  [/^\/executions$/, "Executions", executions],
  [/^\/executions\/([^/]+)$/, "Execution", execution],
  [/^\/agents$/, "Agents", agents],
  [/^\/agents\/([^/]+)$/, "Agent", agent],
  [/^\/patterns$/, "Patterns", patterns],
  [/^\/patterns\/([^/]+)$/, "Pattern", pattern],
  [/^\/cluster$/, "Cluster", cluster],
];

let view = null;

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function unknown(root, { path }) {
  root.append(
    h("h1", null, "No such page"),
    h("p", null, "There is nothing at ", h("code", null, path), ". ", h("a", { class: "underlined", href: "#/" }, "Overview")),
  );
}

/** Shows the page that the address names. */
function show(isFirst = false) {
  if (!live.may("read")) return;
  view?.abort();
  view = new AbortController();
  const [path, query] = (location.hash.slice(1) || "/").split(/\?(.*)/s);
  const [pattern, title, render] = routes.find(([pattern]) => pattern.test(path)) ?? [null, "No such page", unknown];
  const parts = pattern?.exec(path).slice(1).map(decode) ?? [];
  document.title = [...parts, title, "Parallax"].join(" · ");
  for (const link of element("nav").children) {
    const target = link.getAttribute("href").slice(1);
    setAttribute(link, "aria-current", (target === "/" ? path === "/" : path.startsWith(target)) ? "page" : null);
  }
  main.replaceChildren();
  render(main, { path, parts, query: new URLSearchParams(query ?? "") }, view.signal);
  mark();
  if (isFirst) return;
  scrollTo(0, 0);
  const heading = main.querySelector("h1");
  heading?.setAttribute("tabindex", "-1");
  heading?.focus({ preventScroll: true });
}

// MARK: Old content

const banner = element("banner");
let bannered = null;

/** Says since when what is shown is old, and marks it. */
function mark() {
  const old = live.state.session && live.may("read") ? live.age() : null;
  setAttribute(document.documentElement, "data-old", old?.reason);
  const since = old?.since ? format.time(old.since) : null;
  for (const place of document.querySelectorAll(".as-of")) {
    setText(place, !old ? "" : old.reason === "lost" && since ? `as of ${since}` : old.reason === "lost" ? "old" : "may be old");
  }
  if (!old) {
    if (bannered) {
      banner.replaceChildren();
      if (bannered.reason === "lost") toast("Connected again; what is shown is new.");
    }
    bannered = null;
    return;
  }
  if (bannered?.reason !== old.reason || bannered.since !== old.since) {
    bannered = old;
    const node = live.state.session.node;
    // The counting is not for screen readers: they would hear it each second.
    const counter = h("span", { id: "banner-age", "aria-hidden": "true" });
    banner.replaceChildren(
      h(
        "div",
        { class: "banner" },
        icon("warning"),
        h(
          "p",
          null,
          old.reason === "lost"
            ? [
                h("strong", null, `${node} does not answer. `),
                since ? `What this page shows is from ${since}` : "What this page shows is old",
                counter,
                ".",
              ]
            : [
                h("strong", null, `${node} cannot reach its store${since ? ` since ${since}` : ""}`),
                counter,
                ". Leader, members and lists are the last known ones.",
              ],
        ),
      ),
    );
  }
  if (old.since) setText(element("banner-age"), ` (${format.span(Date.now() - old.since)}${old.reason === "lost" ? " ago" : ""})`);
}

function showConnection() {
  const place = element("connection");
  const old = live.age();
  const [name, text, tone] =
    old?.reason === "lost"
      ? ["disconnected", "Not connected", "bad"]
      : old
        ? ["warning", "Stale", "warn"]
        : live.state.status === null
          ? ["pending", "Connecting", "neutral"]
          : live.state.isStreaming
            ? ["healthy", "Live", "good"]
            : ["pending", "Polling", "warn"];
  if (place.dataset.state !== text) {
    place.dataset.state = text;
    place.replaceChildren(h("span", { class: `status tone-${tone}` }, icon(name), text));
  }
  mark();
}

// MARK: Session

function showSession() {
  const { session } = live.state;
  const isIn = live.may("read");
  element("nav").hidden = !isIn;
  element("connection").hidden = !isIn;
  element("who").hidden = !isIn;
  setText(element("who"), isIn ? session.identity : "");
  element("who").title = isIn
    ? `${session.identity}; scopes: ${session.scopes.join(", ")}; at ${session.node}, version ${session.version}`
    : "";
  // Where nobody needs a key there is nobody to log out.
  element("log-out").hidden = !isIn || !/\bkey /.test(session.identity);
  setText(element("cluster-name"), session ? (session.highAvailability ? session.cluster : session.node) : "");
}

function showLogin(reason) {
  live.stop();
  view?.abort();
  view = null;
  document.title = "Log in · Parallax";
  showSession();
  mark();
  main.replaceChildren();
  login(main, {
    reason,
    onSuccess: async () => {
      live.state.session = await get("/ui/session");
      if (!live.may("read")) throw new Error("This key cannot read: the dashboard needs a key with the scope read, execute or admin.");
      begin();
    },
  });
}

function begin() {
  showSession();
  live.start();
  show(true);
}

async function logOut() {
  try {
    await remove("/ui/session");
  } catch (error) {
    toast(`Not logged out: ${error.message}`);
    return;
  }
  live.state.session = await get("/ui/session").catch(() => ({ ...live.state.session, scopes: [] }));
  if (live.may("read")) begin();
  else showLogin("You have logged out.");
}

/** Asks who the caller is; repeats while the node does not answer. */
async function open() {
  for (;;) {
    try {
      live.state.session = await get("/ui/session");
      break;
    } catch (error) {
      main.replaceChildren(
        h(
          "div",
          { class: "login" },
          h("h1", null, "Parallax"),
          problem(error),
          h("p", { class: "note" }, "The page tries again every two seconds."),
        ),
      );
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    }
  }
  if (live.may("read")) begin();
  else
    showLogin(live.state.session.scopes.length > 0 ? `${live.state.session.identity} may not read: log in with another key.` : undefined);
}

// MARK: Theme

const themes = { system: ["Theme: as the system", "light"], light: ["Theme: light", "dark"], dark: ["Theme: dark", "system"] };

function showTheme() {
  const theme = document.documentElement.dataset.theme ?? "system";
  const button = element("theme");
  button.setAttribute("aria-label", `${themes[theme][0]}. Change to ${themes[theme][1]}`);
  button.title = themes[theme][0];
  button.replaceChildren(icon({ system: "system", light: "sun", dark: "moon" }[theme]));
}

function changeTheme() {
  const next = themes[document.documentElement.dataset.theme ?? "system"][1];
  setAttribute(document.documentElement, "data-theme", next === "system" ? null : next);
  try {
    if (next === "system") localStorage.removeItem("parallax.theme");
    else localStorage.setItem("parallax.theme", next);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  showTheme();
}

// MARK: Start

element("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
element("theme").addEventListener("click", changeTheme);
element("log-out").addEventListener("click", logOut);
addEventListener("hashchange", () => show());
live.on("connection", showConnection);
live.on("status", () =>
  setText(element("cluster-name"), live.state.session?.highAvailability ? live.state.status.clusterId : (live.state.session?.node ?? "")),
);
live.on("tick", showConnection);
live.on("unauthorized", (error) => {
  live.state.session = { ...live.state.session, scopes: [] };
  showLogin(`The session has ended: ${error.message}`);
});
showTheme();
open();
