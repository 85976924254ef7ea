// What the JavaScript agents have in common: what they send, and what they print for the driver.
const [url, name] = process.argv.slice(2);

function answer(text) {
  const { type, payload } = JSON.parse(text);
  if (type === "registered") console.log("registered");
  if (type === "error") console.log("error", JSON.stringify(payload));
  if (type !== "task") return undefined;
  const { taskId, executionId, input } = payload;
  const result = input.bytes === undefined ? { echo: input.text } : { data: "x".repeat(input.bytes) };
  return JSON.stringify({ type: "task_result", payload: { taskId, executionId, result } });
}

module.exports = {
  url, name, answer,
  headers: { "X-Agent-Id": name },
  registration: JSON.stringify({ type: "register", payload: { capabilities: [name] } }),
  /** Calls `connect` with a function to be called when the connection has ended, with its code if it was open; and again after that. */
  forever(connect) {
    connect((code) => {
      if (code !== undefined) console.log("closed", code);
      setTimeout(() => module.exports.forever(connect), 500);
    });
  },
};
