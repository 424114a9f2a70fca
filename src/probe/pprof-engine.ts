/**
 * Runs on every thread that samples, where our addon cannot load. Owns the second engine, on the `pprof` package.
 * Must not claim labels: V8's sample ordinals are out of its reach.
 */
import type { EngineResult } from "./engine";

/** @param horizonMillis `Settings.horizonMillis`, which spaces the captures. */
export function createPprofEngine(_horizonMillis: number): EngineResult {
  return { ok: false, reason: "not written yet" };
}
