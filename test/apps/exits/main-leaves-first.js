"use strict";
const { Worker } = require("node:worker_threads");
const { whenServed, closeServer, BUSY_WORKER } = require("../served");
whenServed((server) => {
  const worker = new Worker(BUSY_WORKER, { eval: true });
  worker.once("message", () => {
    worker.unref();
    closeServer(server);
  });
});
