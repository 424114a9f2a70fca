/**
 * Runs on the agent's worker thread, once, in a worker that replaces one that died. Owns reading this life's own history
 * back: the detector, the dictionary and the matured samples go on where they were; nothing is reported twice.
 */
import { join } from "node:path";
import type { Detector, Transition } from "../detector/detector";
import { historyStem, isHistoryHeader, readLife } from "../export/history-file";
import type { Observation } from "../model/observation";
import type { OwnerKind } from "../model/owner";
import type { Dictionary } from "./dictionary";
import type { ResumedSamples } from "./live-samples";

export interface ResumedLife {
  readonly observationCount: number;
  /** The latest change of each verdict; the worker that died has told it. */
  readonly transitions: readonly Transition[];
  /** Thread -> the sampler life it was in, and what had matured there and was not freed. */
  readonly threads: ReadonlyMap<number, { readonly epoch: number; readonly matured: ResumedSamples }>;
}

/**
 * @throws AgentError `ERR_LEAK_AGENT_HISTORY` when a segment cannot be read; what was read until then has been taken in.
 */
export async function resumeLife(
  directory: string,
  startTimeMillis: number,
  processId: number,
  detector: Detector,
  dictionary: Dictionary,
): Promise<ResumedLife> {
  const threads = new Map<number, { epoch: number; matured: Map<number, { kind: OwnerKind; route: number }> }>();
  const transitions = new Map<string, Transition>();
  let observationCount = 0;
  for await (const entry of readLife(join(directory, `${historyStem(startTimeMillis, processId)}.jsonl`))) {
    if (isHistoryHeader(entry)) continue;
    observationCount++;
    dictionary.restore(entry);
    for (const transition of detector.observe(entry)) transitions.set(transition.key, transition);
    follow(threads, entry);
  }
  return { observationCount, threads, transitions: [...transitions.values()] };
}

function follow(
  threads: Map<number, { epoch: number; matured: Map<number, { kind: OwnerKind; route: number }> }>,
  observation: Observation,
): void {
  let thread = threads.get(observation.thread);
  if (thread === undefined || thread.epoch !== observation.epoch || observation.restarted === true) {
    thread = { epoch: observation.epoch, matured: new Map() };
    threads.set(observation.thread, thread);
  }
  for (const sample of observation.matured ?? []) {
    thread.matured.set(ordinalOfKey(sample.key), { kind: sample.kind, route: sample.route });
  }
  for (const key of observation.freed ?? []) thread.matured.delete(ordinalOfKey(key));
}

function ordinalOfKey(key: string): number {
  return Number.parseInt(key.slice(key.lastIndexOf(".") + 1), 36);
}
