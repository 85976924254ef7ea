// The log-in by an API key. The node answers with a cookie that scripts cannot read; the page keeps no key.

import { post } from "./api.js";
import { problem } from "./dialogs.js";
import { h, setText } from "./dom.js";

/** Shows the form; `onSuccess` is called after the key was accepted. */
export function login(root, { reason, onSuccess }) {
  const key = h("input", {
    id: "key",
    type: "password",
    autocomplete: "current-password",
    required: true,
    spellcheck: "false",
    "aria-describedby": "key-note",
  });
  const fault = h("div");
  const button = h("button", { type: "submit", class: "primary" }, "Log in");
  root.append(
    h(
      "div",
      { class: "login" },
      h("h1", null, "Log in"),
      h("p", null, reason ?? "This node answers the holders of API keys."),
      h(
        "form",
        {
          onsubmit: async (event) => {
            event.preventDefault();
            button.disabled = true;
            setText(button, "In progress…");
            fault.replaceChildren();
            try {
              await post("/ui/session", undefined, { headers: { Authorization: `Bearer ${key.value.trim()}` } });
              await onSuccess();
            } catch (error) {
              fault.replaceChildren(problem(error));
              key.select();
              key.focus();
            }
            button.disabled = false;
            setText(button, "Log in");
          },
        },
        h("p", { class: "field" }, h("label", { for: "key" }, "API key"), key),
        h(
          "p",
          { class: "note", id: "key-note" },
          "With the scope read it shows, with execute it runs and cancels, with admin it also changes the cluster. ",
          h("code", null, "parallax keys generate"),
          " makes one.",
        ),
        fault,
        button,
      ),
    ),
  );
  key.focus();
}
