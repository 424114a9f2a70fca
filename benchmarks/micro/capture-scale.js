/**
 * Child program: `node capture-scale.js ROUNDS PATHS`, milliseconds of CPU per capture for growing numbers of live samples.
 * PATHS `new`: every sample brings a call path of its own, so that nodes grow as well; a number: so many paths, taken again
 * and again, as in a service whose code has all run. Prints one JSON line.
 */
"use strict";

const { decodeCapture } = require("../../dist/model/capture.js");
const { loadNative } = require("../../dist/native.js");
const { threadMicros } = require("../thread-clock");
const { TreeGrower } = require("./capture-tree.js");

const INTERVAL_BYTES = 1_023;
const STACK_DEPTH = 64;
const LIVE_SAMPLES = [2_000, 6_000, 18_000, 54_000];

function main() {
  const rounds = Number(process.argv[2]);
  const paths = process.argv[3] === "new" ? Number.POSITIVE_INFINITY : Number(process.argv[3]);
  const native = loadNative();
  if (!native.ok) throw new Error(`the addon does not load: ${native.reason}`);
  const { addon } = native;
  const grower = new TreeGrower(paths);
  if (addon.startSampler(INTERVAL_BYTES, STACK_DEPTH) !== "started") throw new Error("the sampler does not start");
  const results = LIVE_SAMPLES.map((target) => {
    grower.growTo(target, () => decodeCapture(addon.capture()).sampleCount);
    const millis = [];
    for (let round = 0; round < rounds; round++) {
      const start = threadMicros();
      addon.capture();
      millis.push((threadMicros() - start) / 1e3);
    }
    const { sampleCount, treeNodeCount } = decodeCapture(addon.capture());
    return { samples: sampleCount, treeNodes: treeNodeCount, millis };
  });
  addon.stopSampler();
  process.stdout.write(`${JSON.stringify(results)}\n`);
}

main();
