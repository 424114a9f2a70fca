/**
 * Runs on every thread that samples. Owns what of Node is loaded only once a program is a service: `perf_hooks` and `v8` cost
 * every start 4 ms. Past `require`, which others may have wrapped.
 */

/** Milliseconds of a clock that never goes back, as `performance.now()`. */
export function monotonicMillis(): number {
  const [seconds, nanos] = process.hrtime();
  return seconds * 1e3 + nanos / 1e6;
}

export function perfHooks(): typeof import("node:perf_hooks") {
  return process.getBuiltinModule("node:perf_hooks");
}

export function v8(): typeof import("node:v8") {
  return process.getBuiltinModule("node:v8");
}
