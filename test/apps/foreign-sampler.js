/** Preloaded before the agent by tests: takes V8's one sampling heap profiler, as another vendor's agent would. */
"use strict";
const { Session } = require("node:inspector");

const session = new Session();
session.connect();
session.post("HeapProfiler.startSampling", { samplingInterval: 65_536 });
process.once("exit", () => {
  session.post("HeapProfiler.stopSampling", (error, result) => {
    process.stdout.write(
      `foreign sampler ${error === null && result.profile.samples.length > 0 ? "intact" : "lost"}\n`,
    );
  });
});
