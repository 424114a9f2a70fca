/** Preloaded beside the agent: at the very end prints what the service's main thread has loaded, as one JSON line. */
"use strict";

process.on("exit", () => {
  const files = Object.keys(require.cache);
  const builtins = process.moduleLoadList.map((entry) => entry.replace(/^NativeModule /, ""));
  console.log(`loaded ${JSON.stringify({ files, builtins })}`);
});
