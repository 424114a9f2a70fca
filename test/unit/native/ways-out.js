/** Child of cleanup.test.js: ends in the way its first argument names, with the sampler running everywhere. */
"use strict";
const { AsyncLocalStorage } = require("node:async_hooks");
const { once } = require("node:events");
const { Worker, isMainThread, workerData } = require("node:worker_threads");
const { loadNative } = require("../../../dist/native.js");

const { addon } = loadNative();
const kept = [];

function sample() {
  addon.startSampler(1_023, 64);
  const storage = new AsyncLocalStorage();
  addon.interpose(storage, () => {});
  storage.run({}, () => {
    for (let i = 0; i < 200; i++) kept.push(new Array(500).fill(i));
  });
  addon.capture();
}

const MAIN = {
  async end() {},
  async exit() {
    process.exit(0);
  },
  async terminate() {
    for (let i = 0; i < 8; i++) {
      const worker = new Worker(__filename, { workerData: "stay" });
      await once(worker, "message");
      await worker.terminate();
    }
  },
  async workerEnd() {
    for (let i = 0; i < 4; i++) await once(new Worker(__filename, { workerData: "end" }), "exit");
  },
  async workerExit() {
    for (let i = 0; i < 4; i++) await once(new Worker(__filename, { workerData: "exit" }), "exit");
  },
  async workerThrow() {
    for (let i = 0; i < 4; i++) await once(new Worker(__filename, { workerData: "throw" }), "error");
  },
  async mainFirst() {
    const worker = new Worker(__filename, { workerData: "stay" });
    await once(worker, "message");
    worker.unref();
  },
  async twice() {
    for (const file of Object.keys(require.cache)) if (/native\.js$|\.node$/.test(file)) delete require.cache[file];
    const again = require("../../../dist/native.js").loadNative();
    if (!again.ok || again.addon.startSampler(1_023, 64) !== "foreign") process.exit(9);
  },
};

const WORKER = {
  stay() {
    setInterval(() => kept.push(new Array(500).fill(0)), 1);
    require("node:worker_threads").parentPort.postMessage("ready");
  },
  end() {},
  exit() {
    process.exit(0);
  },
  throw() {
    throw new Error("on purpose");
  },
};

sample();
if (isMainThread) {
  MAIN[process.argv[2]]().then(() => process.stdout.write("done"));
} else {
  WORKER[workerData]();
}
