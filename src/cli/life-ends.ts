/**
 * Runs in the CLI process. Owns how the process lives on record ended. May run on another machine than the service did:
 * what only that machine knows (its OOM counter, its run) is then not asked.
 */
import { type LifeEnd, lifeEndOf, type NowFacts } from "../detector/restart-cause";
import type { PastLife } from "../export/life-file";
import type { LifeOpening, OomKills } from "../model/life";

/** A life that gave a sign within this time may go on. */
const SILENT_MILLIS = 60_000;

export interface RecordedLife {
  readonly opening: LifeOpening;
  /** Null: it may still run. */
  readonly end: LifeEnd | null;
}

/** The machine's facts at a life's end are those that the next life on record wrote down. */
export function lifeEnds(lives: readonly PastLife[], nowMillis: number): RecordedLife[] {
  return lives.map((life, index) => {
    const { opening } = life;
    const mayRun = life.lastWord === null && !life.isTold && nowMillis - life.renewedMillis < SILENT_MILLIS;
    return { opening, end: mayRun ? null : lifeEndOf(life, factsAfter(lives.slice(index + 1))) };
  });
}

/** For a table. */
export function endInShort({ cause, likely, exitCode, signal }: LifeEnd): string {
  const killed = likely === null ? "killed without a word" : `killed, likely ${SHORT[likely]}`;
  const words = { exit: `exit code ${exitCode}`, signal: signal ?? "a signal", killed, ...SHORT };
  return words[cause];
}

const SHORT = {
  "heap-limit": "V8's heap limit",
  "container-oom": "the kernel's out-of-memory kill",
  machine: "the machine restarted or changed",
} as const;

function factsAfter(later: readonly PastLife[]): NowFacts {
  const next = later[0];
  const oomKills: OomKills | null = later.find((life) => life.level?.oomKills)?.level?.oomKills ?? null;
  return { bootId: next?.opening.bootId ?? null, oomKills };
}
