/**
 * Runs on the agent's worker thread. Owns which findings a person has acknowledged, now: both files are looked at (one
 * stat each) when somebody asks, and read when they have changed.
 */
import { statSync } from "node:fs";
import { type IgnoreEntry, isActive, readIgnoreFile } from "../export/ignore-file";
import type { FindingAcknowledgement } from "../model/finding";
import type { AgentLog } from "./log";

const LOOK_MILLIS = 1_000;

interface WatchedFile {
  readonly path: string;
  stamp: string;
  name: string;
  entries: readonly IgnoreEntry[];
}

export class Acknowledgements {
  private readonly files: WatchedFile[];
  private lookedMillis = Number.NEGATIVE_INFINITY;

  /** @param paths the first one with an active entry counts. */
  constructor(
    paths: readonly string[],
    private readonly log: Pick<AgentLog, "warn">,
  ) {
    this.files = paths.map((path) => ({ path, stamp: "", name: "", entries: [] }));
  }

  /** Reads again what has changed. */
  look(nowMillis: number): void {
    if (nowMillis - this.lookedMillis < LOOK_MILLIS) return;
    this.lookedMillis = nowMillis;
    for (const file of this.files) {
      const stamp = stampOf(file.path);
      if (stamp === file.stamp) continue;
      file.stamp = stamp;
      const { file: name, entries, problems } = readIgnoreFile(file.path);
      file.name = name;
      file.entries = entries;
      const [first] = problems;
      const more = problems.length > 1 ? ` (and ${problems.length - 1} more: leak-agent doctor)` : "";
      if (first !== undefined) this.log.warn("ERR_LEAK_AGENT_CONFIG", `${first}${more}`);
    }
  }

  /** What a person has said of this finding; null: nothing that still holds. */
  of(id: string, nowMillis: number): FindingAcknowledgement | null {
    for (const { name, entries } of this.files) {
      const entry = entries.findLast((candidate) => candidate.id === id && isActive(candidate, nowMillis));
      if (entry !== undefined) return { reason: entry.reason, until: entry.until, file: name };
    }
    return null;
  }
}

function stampOf(path: string): string {
  try {
    const found = statSync(path);
    return `${found.mtimeMs}/${found.size}/${found.ino}`;
  } catch {
    return ""; // Not there: nobody has acknowledged anything.
  }
}
