/**
 * Runs on every thread that samples. Owns what of Node is loaded only once a program is a service: `perf_hooks` and `v8` cost
 * every start 4 ms. Past `require`, which others may have wrapped, where Node has a way (not 22.0 to 22.2).
 */

/** As it was at the start: a service's tests may put a clock of their own in its place. */
const { hrtime } = process;

/** Milliseconds of a clock that never goes back, as `performance.now()`. */
export function monotonicMillis(): number {
  const [seconds, nanos] = hrtime();
  return seconds * 1e3 + nanos / 1e6;
}

export function perfHooks(): typeof import("node:perf_hooks") {
  return process.getBuiltinModule?.("node:perf_hooks") ?? require("node:perf_hooks");
}

export function v8(): typeof import("node:v8") {
  return process.getBuiltinModule?.("node:v8") ?? require("node:v8");
}
