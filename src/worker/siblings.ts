/**
 * Runs on the agent's worker thread. Owns what the other processes of the service that share the folder say of a finding
 * now: the workers of a cluster leak alike, but each comes to its verdict at its own time, and one id is one finding.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { isGoingOn, lifeStem } from "../export/life-file";
import { FINDING_SCHEMA, type Finding, isAlarm, type VerdictName } from "../model/finding";
import { keepNewest } from "../model/newest";

/** The file is looked at once in this time at most. */
const LOOK_MILLIS = 1_000;
/** Of what others wrote meanwhile, or before this process came: some hundreds of records. */
const MAX_READ_BYTES = 1 << 20;
const MAX_FINDINGS = 1_000;
const MAX_PROCESSES = 64;
const NEWLINE = 0x0a;
/** What a process says whose evidence is thinner, or speaks against a leak. */
const LESSER: readonly VerdictName[] = ["watch", "saturating", "inconclusive", "retracted"];

/** The newest word of one process on one finding. */
interface Word {
  readonly processId: number;
  readonly startMillis: number;
  readonly verdict: VerdictName;
  readonly timeMillis: number;
  readonly isFix: boolean;
}

export class Siblings {
  /** By finding, then by process. */
  private readonly words = new Map<string, Map<string, Word>>();
  private readonly path: string;
  private inode = -1;
  private offset = 0;
  private lookedMillis = Number.NEGATIVE_INFINITY;

  /** @param ownInstanceId as this process writes it into its findings. */
  constructor(
    private readonly folder: string,
    fileName: string,
    private readonly ownInstanceId: string,
    private readonly now: () => number = Date.now,
  ) {
    this.path = join(folder, fileName);
  }

  /** Whether this process has told it, and not one before or beside it. */
  isOwn({ service }: Pick<Finding, "service">): boolean {
    return service.instanceId === this.ownInstanceId;
  }

  /** A process that goes on has alarmed, acknowledged or not, and has not taken it back. */
  hasAlarm(id: string): boolean {
    this.look();
    return [...(this.words.get(id)?.values() ?? [])].some(
      (word) => (isAlarm(word) || word.verdict === "acknowledged") && this.isGoingOn(word),
    );
  }

  /** When another process had the last word on a finding and it was less than an alarm, ms; null: it had not. */
  overruledMillis(id: string, toldMillis: number): number | null {
    this.look();
    let last: Word | null = null;
    for (const word of this.words.get(id)?.values() ?? []) {
      if (last === null || word.timeMillis >= last.timeMillis) last = word;
    }
    const isOverruled = last !== null && last.timeMillis >= toldMillis && LESSER.includes(last.verdict);
    return isOverruled && last?.isFix === false ? last.timeMillis : null;
  }

  private isGoingOn({ startMillis, processId }: Word): boolean {
    return isGoingOn(this.folder, lifeStem(startMillis, processId), this.now());
  }

  /** Takes in what was appended since the last look; a file that was moved aside or removed is begun anew. */
  private look(): void {
    if (this.now() - this.lookedMillis < LOOK_MILLIS) return;
    this.lookedMillis = this.now();
    try {
      const descriptor = openSync(this.path, "r");
      try {
        const { ino, size } = fstatSync(descriptor);
        if (ino !== this.inode || size < this.offset) this.offset = 0;
        this.inode = ino;
        this.read(descriptor, size);
      } finally {
        closeSync(descriptor);
      }
    } catch {
      // No findings yet, or none that can be read: everybody speaks for himself.
    }
  }

  private read(descriptor: number, size: number): void {
    const from = Math.max(this.offset, size - MAX_READ_BYTES);
    const bytes = Buffer.alloc(size - from);
    const text = bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, from));
    // What comes after the last line's end is still being written.
    const end = text.lastIndexOf(NEWLINE) + 1;
    for (const line of text.toString("utf8", 0, end).split("\n")) this.take(line);
    this.offset = from + end;
  }

  private take(line: string): void {
    const finding = parsed(line);
    if (finding === null) return;
    const { id, service, time, verdict, fix } = finding;
    const [, start = "", processId = ""] = /^([0-9a-z]+)-(\d+)$/.exec(service.instanceId) ?? [];
    if (start === "" || this.isOwn(finding)) return;
    const word: Word = {
      processId: Number(processId),
      startMillis: Number.parseInt(start, 36),
      verdict,
      timeMillis: Date.parse(time),
      isFix: fix !== null,
    };
    const ofFinding = this.words.get(id) ?? new Map<string, Word>();
    keepNewest(this.words, id, ofFinding, MAX_FINDINGS);
    keepNewest(ofFinding, service.instanceId, word, MAX_PROCESSES);
  }
}

/** Null: an empty line, the rest of one whose beginning was not read, or no finding. */
function parsed(line: string): Finding | null {
  try {
    const finding = JSON.parse(line) as Finding | null;
    const isWhole = finding?.schema === FINDING_SCHEMA && typeof finding.service?.instanceId === "string";
    return isWhole ? finding : null;
  } catch {
    return null;
  }
}
