/** Pure. Owns the words for what had to be dropped: each kind is told once in the worker's life, with its code. */
import type { ErrorCode } from "../errors";
import type { ProbeCounts } from "../model/messages";

export interface Drop {
  readonly key: string;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface WorkerDrops {
  /** Live samples beyond the cap. */
  readonly samples: number;
  /** Ledger ranges, records and windows that came faster than captures. */
  readonly ledgerRows: number;
  /** Routes, frames and stacks beyond the caps. */
  readonly names: number;
}

/** Kinds of loss that have happened so far; empty in a sound agent. */
export function dropsOf(probe: ProbeCounts, worker: WorkerDrops): Drop[] {
  const drops: (Drop & { readonly count: number })[] = [
    drop("samples", worker.samples, "live samples found no room in the worker and are not followed"),
    drop(
      "rows",
      worker.ledgerRows + probe.droppedLedgerRanges + probe.droppedRecords,
      "owner rows were lost: their samples are (unattributed)",
    ),
    drop("names", worker.names, "routes, frames or stacks found no room and are (other)"),
    drop("ring", probe.ringOverflows, "samples came too fast for the label ring: they are (unattributed)"),
    drop(
      "hooks",
      probe.hookErrors,
      "errors in the agent's own hooks were caught: their requests are (unattributed)",
      "ERR_LEAK_AGENT_INTERNAL",
    ),
  ];
  return drops.filter((candidate) => candidate.count > 0);
}

function drop(
  key: string,
  count: number,
  what: string,
  code: ErrorCode = "ERR_LEAK_AGENT_LABELS",
): Drop & { count: number } {
  return { key: `drop-${key}`, code, message: `${count} ${what} (told once)`, count };
}
