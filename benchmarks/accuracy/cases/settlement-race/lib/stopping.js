"use strict";
/** Settles once, when the process is told to end. */
const stopped = new Promise((resolve) => process.once("SIGTERM", () => resolve(null)));
stopped.then(() => setTimeout(() => process.exit(0), 200));

/** A long computation is given up when the process ends. */
async function untilStopped(work) {
  const result = await Promise.race([work, stopped]);
  return result ?? { abandoned: true };
}

module.exports = { untilStopped };
