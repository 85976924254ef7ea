// Questions before an action, errors, and short notices.

import { h, setText } from "./dom.js";

/** An error in the server's words, with the id under which the node's log has more. */
export function problem(error, title) {
  return h(
    "div",
    { class: "problem", role: "alert" },
    title ? h("strong", null, title) : null,
    h("p", null, error.message),
    h(
      "p",
      { class: "note" },
      h("code", null, error.code ?? "ERROR"),
      error.requestId ? [" · request ", h("code", null, error.requestId)] : null,
    ),
  );
}

/** Shows a notice for some seconds; screen readers read it. */
export function toast(text) {
  const notice = h("p", { class: "toast" }, text);
  const place = document.getElementById("toasts");
  place.append(notice);
  while (place.children.length > 3) place.firstChild.remove();
  setTimeout(() => notice.remove(), 6_000);
}

/**
 * Asks before an action, performs it, and shows its error in the same place.
 *
 * `fields` are `{name, label, type: "text" | "select", options, hint}`; their values are the argument of `perform`.
 * Returns what `perform` returned, or null if nothing was done.
 */
export function confirm({ title, text, action, isDangerous = false, fields = [], perform }) {
  return new Promise((resolve) => {
    let outcome = null;
    const inputs = fields.map((field) => {
      const id = `field-${field.name}`;
      const input =
        field.type === "select"
          ? h(
              "select",
              { id, name: field.name },
              field.options.map(([value, label]) => h("option", { value }, label)),
            )
          : h("input", { id, name: field.name, type: "text", maxlength: "256", autocomplete: "off" });
      return { name: field.name, input, element: h("p", { class: "field" }, h("label", { for: id }, field.label), input) };
    });
    const fault = h("div");
    const confirmation = h("button", { type: "submit", class: isDangerous ? "danger" : "primary" }, action);
    const cancel = h("button", { type: "button", onclick: () => dialog.close() }, "Back");
    const form = h(
      "form",
      {
        onsubmit: async (event) => {
          event.preventDefault();
          // What is in progress has an outcome, which is shown.
          confirmation.disabled = true;
          cancel.disabled = true;
          setText(confirmation, "In progress…");
          fault.replaceChildren();
          try {
            outcome = (await perform(Object.fromEntries(inputs.map(({ name, input }) => [name, input.value.trim()])))) ?? true;
            dialog.close();
          } catch (error) {
            fault.replaceChildren(problem(error));
            confirmation.disabled = false;
            cancel.disabled = false;
            setText(confirmation, action);
          }
        },
      },
      h("h2", { id: "dialog-title" }, title),
      h("p", null, text),
      inputs.map(({ element }) => element),
      fault,
      h("div", { class: "buttons" }, cancel, confirmation),
    );
    const dialog = h(
      "dialog",
      {
        "aria-labelledby": "dialog-title",
        oncancel: (event) => {
          if (cancel.disabled) event.preventDefault();
        },
        onclose: () => {
          dialog.remove();
          resolve(outcome);
        },
      },
      form,
    );
    document.body.append(dialog);
    dialog.showModal();
    (inputs[0]?.input ?? cancel).focus();
  });
}
