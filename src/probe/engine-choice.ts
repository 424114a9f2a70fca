/**
 * Runs on every thread that samples. Owns the choice between the two sampling engines.
 * Must never start anything: starting is the governor's decision.
 */
import type { Settings } from "../config";
import type { SamplingEngine } from "./engine";
import { createNativeEngine } from "./native-engine";

export type EngineChoiceResult =
  | { readonly ok: true; readonly engine: SamplingEngine; readonly note: string }
  | { readonly ok: false; readonly reason: string };

/**
 * Picks the engine that `settings.engine` allows: our addon first, `pprof` where the addon cannot load.
 * @returns the engine (with a note for the start-up line, empty when nothing is to be said), or one line saying why none works.
 */
export function selectEngine(settings: Settings): EngineChoiceResult {
  const reasons: string[] = [];
  if (settings.engine !== "pprof") {
    const native = createNativeEngine();
    if (native.ok) return { ok: true, engine: native.engine, note: "" };
    reasons.push(`addon: ${native.reason}`);
  }
  if (settings.engine !== "native") {
    // Loaded only where the addon is not to be had: it would be a tenth of the start-up time.
    const { createPprofEngine } = require("./pprof-engine") as typeof import("./pprof-engine");
    const pprof = createPprofEngine(settings.horizonMillis);
    if (pprof.ok) return { ok: true, engine: pprof.engine, note: reasons.join("; ") };
    reasons.push(`pprof: ${pprof.reason}`);
  }
  return { ok: false, reason: reasons.join("; ") };
}
