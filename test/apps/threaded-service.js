/** A service whose two worker threads do the allocating; each keeps what it makes. */
"use strict";
const { Worker } = require("node:worker_threads");
const { whenServed, closeServer, BUSY_WORKER } = require("./served");

const workers = [];
const server = whenServed(async () => {
  await Promise.all(workers.map((worker) => worker.terminate()));
  closeServer(server);
});
for (let i = 0; i < 2; i++) workers.push(new Worker(BUSY_WORKER, { eval: true, name: `pool-${i}` }));
