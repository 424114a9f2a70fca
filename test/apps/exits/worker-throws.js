"use strict";
const { Worker } = require("node:worker_threads");
const { whenServed, closeServer, BUSY_WORKER } = require("../served");
whenServed((server) => {
  const code = `${BUSY_WORKER} setTimeout(() => { throw new Error("worker boom"); }, 50);`;
  const worker = new Worker(code, { eval: true });
  worker.once("error", (error) => console.log(`worker failed: ${error.message}`));
  worker.once("exit", () => closeServer(server));
});
