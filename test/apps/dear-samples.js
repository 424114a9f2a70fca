/**
 * A service on a machine where each of V8's samples takes very long: it says so in the words that the interposed step counts in,
 * which run over on the way. Prints what the agent bills per sample, in microseconds, once that is known.
 */
"use strict";
const { createServer } = require("node:http");
const { CONTROL_TIMED_NANOS, CONTROL_TIMED_SAMPLES, loadNative } = require("../../dist/native");

const TIMED_PER_STEP = 10;
const NANOS_PER_STEP = TIMED_PER_STEP * 500_000;
const STEP_MILLIS = 10;
const WINDOWS = 3;

const { addon } = loadNative();
const { control } = addon;
let kept = [];
/** What the agent had billed, and the samples there were, at the end of each of its windows. */
const ends = [];

function windowEnd() {
  const { samplingMillis } = globalThis[Symbol.for("leak-agent.probe")].status().governor.cost;
  return { samplingMillis, samples: addon.readOrdinal() };
}

createServer().listen(0, "127.0.0.1", () => {
  setInterval(() => {
    control[CONTROL_TIMED_SAMPLES] += TIMED_PER_STEP;
    control[CONTROL_TIMED_NANOS] += NANOS_PER_STEP;
    kept = Array.from({ length: 1_000 }, (_, i) => [i, kept.length]);
    if (control[CONTROL_TIMED_NANOS] >= 0) return; // Not run over yet: that takes four seconds.
    const end = windowEnd();
    if (ends.at(-1)?.samplingMillis === end.samplingMillis) return;
    ends.push(end);
    if (ends.length <= 1 + WINDOWS) return;
    const [first, last] = [ends[1], ends.at(-1)];
    const micros = ((last.samplingMillis - first.samplingMillis) * 1e3) / (last.samples - first.samples);
    process.stdout.write(`billed ${micros}\n`);
    process.exit(0);
  }, STEP_MILLIS);
});
