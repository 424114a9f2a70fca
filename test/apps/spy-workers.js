/**
 * Preloaded before the agent by tests: says on stdout when a Worker of the agent starts or ends, and terminates the
 * latest one on SIGUSR2, as an out-of-memory would.
 */
"use strict";
const workerThreads = require("node:worker_threads");

if (workerThreads.isMainThread) {
  const Original = workerThreads.Worker;
  let latest;
  workerThreads.Worker = class Worker extends Original {
    constructor(file, options) {
      super(file, options);
      if (!String(file).includes("/dist/worker/")) return;
      latest = this;
      process.stdout.write("agent worker started\n");
      this.once("exit", () => process.stdout.write("agent worker ended\n"));
    }
  };
  process.on("SIGUSR2", () => latest?.terminate());
}
