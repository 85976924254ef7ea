// The WebSocket that the runtime brings: Node's, Bun's or Deno's.
const { url, headers, registration, answer, forever } = require("./agent.js");

forever((ended) => {
  const socket = new WebSocket(url, { headers });
  let opened = false;
  socket.onopen = () => { opened = true; socket.send(registration); };
  socket.onmessage = ({ data }) => { const reply = answer(data); if (reply) socket.send(reply); };
  socket.onerror = () => {};
  socket.onclose = ({ code }) => ended(opened ? code : undefined);
});
