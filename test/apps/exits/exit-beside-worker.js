"use strict";
const { Worker } = require("node:worker_threads");
const { whenServed, BUSY_WORKER } = require("../served");
whenServed(() => {
  const worker = new Worker(BUSY_WORKER, { eval: true });
  worker.once("message", () => process.exit(4));
});
