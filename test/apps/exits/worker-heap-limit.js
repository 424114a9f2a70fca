"use strict";
const { Worker } = require("node:worker_threads");
const { whenServed, closeServer } = require("../served");
whenServed((server) => {
  const code = "const kept = []; for (;;) kept.push({ text: `x${kept.length}` });";
  const worker = new Worker(code, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 24 } });
  worker.once("error", (error) => console.log(`worker failed: ${error.code}`));
  worker.once("exit", () => closeServer(server));
});
