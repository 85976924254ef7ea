const { Client } = require("faye-websocket");
const { url, headers, registration, answer, forever } = require("./agent.js");

forever((ended) => {
  const socket = new Client(url, [], { headers });
  let opened = false;
  socket.on("open", () => { opened = true; socket.send(registration); });
  socket.on("message", ({ data }) => { const reply = answer(data); if (reply) socket.send(reply); });
  socket.on("error", () => {});
  socket.on("close", ({ code }) => ended(opened ? code : undefined));
});
