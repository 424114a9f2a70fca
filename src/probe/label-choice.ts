/**
 * Runs on the service's main thread and its worker threads, once, at preload. Owns which label mechanism this Node gets.
 * Must choose none rather than one that failed its self-test.
 */
import type { LabelChoice } from "../config";
import { type Caught, HookLabels, InterposedLabels, type Labels, NoLabels } from "./boundaries";
import type { SamplingEngine } from "./engine";
import { testLabels } from "./label-self-test";
import type { OrdinalReader } from "./ordinal-reader";
import type { OwnerLedger } from "./owner-ledger";

/** V8 major.minor whose sampler layout was tested (Node 20, 22, 24, 26); others have labels only when forced. */
const TESTED_V8: ReadonlySet<string> = new Set(["11.3", "12.4", "13.6", "14.6"]);
/** Of these, where AsyncLocalStorage lives in V8's own continuation data, so that the sampler's step can read it. */
const INTERPOSED_V8: ReadonlySet<string> = new Set(["13.6", "14.6"]);

export interface ChosenLabels {
  readonly labels: Labels;
  /** What the start-up line should say about it; empty when nothing. */
  readonly reason: string;
}

export function chooseLabels(
  choice: LabelChoice,
  engine: SamplingEngine,
  ordinals: OrdinalReader,
  ledger: OwnerLedger,
  caught: Caught,
): ChosenLabels {
  const source = engine.labels;
  if (choice === "off") return { labels: new NoLabels(), reason: "LEAK_AGENT_LABELS=off" };
  if (source === null) return { labels: new NoLabels(), reason: `the ${engine.name} engine has no sample ordinals` };
  if (choice === "auto" && !TESTED_V8.has(source.v8MajorMinor)) {
    return {
      labels: new NoLabels(),
      reason: `V8 ${source.v8MajorMinor} is not tested yet; LEAK_AGENT_LABELS=hook forces them`,
    };
  }
  const reasons: string[] = [];
  if (choice === "interpose" || (choice === "auto" && INTERPOSED_V8.has(source.v8MajorMinor))) {
    const make = (): Labels => new InterposedLabels(source, ledger, caught);
    const problem = testLabels(engine, ordinals, ledger, make);
    if (problem === "") return { labels: make(), reason: "" };
    reasons.push(`interpose: ${problem}`);
  }
  const problem = testLabels(engine, ordinals, ledger, () => new HookLabels(ordinals, ledger, caught, false));
  if (problem === "") return { labels: new HookLabels(ordinals, ledger, caught, true), reason: reasons.join("; ") };
  reasons.push(`hook: ${problem}`);
  return { labels: new NoLabels(), reason: reasons.join("; ") };
}
