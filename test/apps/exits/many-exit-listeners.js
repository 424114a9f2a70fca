/** As many listeners as Node takes without a warning, but one: that is the agent's. */
"use strict";
const { defaultMaxListeners } = require("node:events");
const { whenServed, closeServer } = require("../served");

whenServed((server) => {
  for (let i = 1; i < defaultMaxListeners; i++) process.on("exit", () => {});
  // Node warns once the loop goes on.
  setImmediate(() => closeServer(server));
});
