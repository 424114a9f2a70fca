"use strict";
const { Worker } = require("node:worker_threads");
const { whenServed, closeServer, BUSY_WORKER } = require("../served");
whenServed((server) => {
  const worker = new Worker(`${BUSY_WORKER} setTimeout(() => process.exit(5), 50);`, { eval: true });
  worker.once("exit", (code) => {
    console.log(`worker left with ${code}`);
    closeServer(server);
  });
});
