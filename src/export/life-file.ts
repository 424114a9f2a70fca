/**
 * Runs on the agent's worker thread (writer) and in the CLI (reader). Owns the life files: `life-<start>-<pid>.log`, and
 * `.end` for the last word (`.over` once a later life has told it). Each life has files of its own: nobody waits for a lock.
 */
import { readdirSync, readFileSync, renameSync, statSync, truncateSync, unlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "../model/finding";
import { framed, readFramed } from "../model/framed-records";
import {
  type LastWord,
  LIFE_SCHEMA,
  type LifeLevel,
  type LifeOpening,
  type LifeRecord,
  type LifeSeries,
  seriesKey,
} from "../model/life";
import { keepNewest } from "../model/newest";
import { type AgentFolder, basicTime, parseBasicTime } from "./folder";

const LIFE_NAME = /^life-(\d{8}T\d{9}Z)-(\d+)\.log$/;
/** Share of the folder that one life's file may take before it is written anew with only the newest records. */
const LIFE_SHARE = 1 / 256;
/** Findings and series that one life keeps. */
const MAX_FINDINGS = 50;
const MAX_SERIES = 200;
/** Lives that are kept: two months of daily deploys. */
const MAX_LIVES = 64;

/** One process life, as its files tell it. */
export interface PastLife {
  /** File name without extension. */
  readonly stem: string;
  readonly opening: LifeOpening;
  readonly level: LifeLevel | null;
  readonly series: readonly LifeSeries[];
  /** Newest word of each finding of this life. */
  readonly findings: readonly Finding[];
  /** Null: nothing was said at the end, or it goes on. */
  readonly lastWord: LastWord | null;
  /** A later life has told how this one ended. */
  readonly isTold: boolean;
  /** When the life last gave a sign. */
  readonly renewedMillis: number;
  readonly damagedRecords: number;
}

/** What counts of a life: the newest record of each kind and key. */
class LifeState {
  opening: LifeOpening | null = null;
  level: LifeLevel | null = null;
  readonly series = new Map<string, LifeSeries>();
  readonly findings = new Map<string, Finding>();

  take(record: LifeRecord): void {
    if (record.type === "open") this.opening = record;
    else if (record.type === "level") this.level = record;
    else if (record.type === "finding") keepNewest(this.findings, record.finding.id, record.finding, MAX_FINDINGS);
    else if (record.type === "series")
      for (const series of record.series) keepNewest(this.series, seriesKey(series), series, MAX_SERIES);
  }

  records(): LifeRecord[] {
    const findings = [...this.findings.values()].map((finding) => ({ type: "finding", finding }) as const);
    return [
      ...(this.opening === null ? [] : [this.opening]),
      ...(this.level === null ? [] : [this.level]),
      ...(this.series.size === 0 ? [] : [{ type: "series", series: [...this.series.values()] } as const]),
      ...findings,
    ];
  }
}

export class LifeWriter {
  private readonly stem: string;
  private readonly state = new LifeState();
  private sizeBytes = 0;
  private compactedBytes = 0;
  /** Records that could not be written. */
  droppedRecords = 0;

  constructor(
    private readonly folder: AgentFolder,
    private readonly opening: LifeOpening,
  ) {
    this.stem = lifeStem(opening.startTimeMillis, opening.processId);
  }

  /** Full path of the file for the last word. */
  get endFile(): string {
    return join(this.folder.path, `${this.stem}.end`);
  }

  /** Newest word of each finding of this life, those of a worker that died included. */
  get findings(): readonly Finding[] {
    return [...this.state.findings.values()];
  }

  /** Begins the life, or goes on with it after the worker that wrote it has died. */
  open(): void {
    this.resume();
    if (this.state.opening === null) this.append(this.opening);
    this.folder.append(`${this.stem}.end`, "");
    prune(this.folder, this.stem);
  }

  append(record: LifeRecord): void {
    this.state.take(record);
    const text = framed(record);
    const isFull = this.sizeBytes + text.length > this.folder.limitBytes * LIFE_SHARE;
    if (isFull && this.sizeBytes > 2 * this.compactedBytes) return this.compact();
    const outcome = this.folder.append(this.logName, text, this.sizeBytes);
    if (outcome === "written") this.sizeBytes += Buffer.byteLength(text);
    else if (outcome === "changed") this.compact();
    else this.droppedRecords++;
  }

  /** A sign of life for those who cannot see this process. */
  renew(nowMillis: number): void {
    try {
      utimesSync(join(this.folder.path, this.logName), nowMillis / 1_000, nowMillis / 1_000);
    } catch {
      // Removed by hand, or read-only: the next record tells.
    }
  }

  private get logName(): string {
    return `${this.stem}.log`;
  }

  private compact(): void {
    const bytes = Buffer.from(this.state.records().map(framed).join(""));
    if (this.folder.write(this.logName, bytes) !== "written") {
      this.droppedRecords++;
      return;
    }
    this.sizeBytes = bytes.length;
    this.compactedBytes = bytes.length;
  }

  private resume(): void {
    const path = join(this.folder.path, this.logName);
    try {
      const bytes = readFileSync(path);
      const { records, wholeBytes } = readFramed(bytes);
      for (const record of records) if (isLifeRecord(record)) this.state.take(record);
      if (wholeBytes < bytes.length) truncateSync(path, wholeBytes);
      this.sizeBytes = wholeBytes;
    } catch {
      this.sizeBytes = 0; // A new life.
    }
  }
}

export function lifeStem(startTimeMillis: number, processId: number): string {
  return `life-${basicTime(startTimeMillis)}-${processId}`;
}

/** Without a sign of life for this long a process is taken for gone. */
export const SILENT_MILLIS = 30_000;

/** Whether a life gives signs, and has not said that it ends; tells also of processes that cannot be seen from here. */
export function isGoingOn(folder: string, stem: string, nowMillis: number): boolean {
  try {
    const isRecent = nowMillis - statSync(join(folder, `${stem}.log`)).mtimeMs < SILENT_MILLIS;
    return isRecent && statSync(join(folder, `${stem}.end`)).size === 0;
  } catch {
    return false; // Removed, or its end was told.
  }
}

/** All lives on record in a folder, oldest first; files that are no life of ours are left out. */
export function readLives(folder: string): PastLife[] {
  const lives: PastLife[] = [];
  for (const stem of stemsIn(folder)) {
    const life = readLife(folder, stem);
    if (life !== null) lives.push(life);
  }
  return lives;
}

/** Marks a life's end as told. @returns false when another process was faster, or the file is gone. */
export function claimEnd(folder: string, stem: string): boolean {
  try {
    renameSync(join(folder, `${stem}.end`), join(folder, `${stem}.over`));
    return true;
  } catch {
    return false;
  }
}

function readLife(folder: string, stem: string): PastLife | null {
  try {
    const path = join(folder, `${stem}.log`);
    const { records, damagedCount } = readFramed(readFileSync(path));
    const state = new LifeState();
    for (const record of records) if (isLifeRecord(record)) state.take(record);
    if (state.opening === null || state.opening.schema !== LIFE_SCHEMA) return null;
    const end = readLastWord(folder, stem);
    return {
      stem,
      opening: state.opening,
      level: state.level,
      series: [...state.series.values()],
      findings: [...state.findings.values()],
      ...end,
      renewedMillis: statSync(path).mtimeMs,
      damagedRecords: damagedCount,
    };
  } catch {
    return null; // Removed by another process between the two calls.
  }
}

function readLastWord(folder: string, stem: string): Pick<PastLife, "lastWord" | "isTold"> {
  for (const [extension, isTold] of [
    ["end", false],
    ["over", true],
  ] as const) {
    try {
      const { records } = readFramed(readFileSync(join(folder, `${stem}.${extension}`)));
      return { lastWord: (records.findLast(isLastWord) as LastWord | undefined) ?? null, isTold };
    } catch {
      // The other name, or none.
    }
  }
  return { lastWord: null, isTold: true };
}

function stemsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => LIFE_NAME.test(name))
      .map((name) => name.slice(0, -".log".length))
      .sort();
  } catch {
    return []; // No folder: no lives.
  }
}

/** Keeps the newest lives; a file that a running process loses is written anew by its next record. */
function prune(folder: AgentFolder, own: string): void {
  for (const stem of stemsIn(folder.path).slice(0, -MAX_LIVES)) {
    if (stem === own) continue;
    for (const extension of ["log", "end", "over"]) removeQuietly(join(folder.path, `${stem}.${extension}`));
  }
}

/** When a life began, from its file's name; NaN when it is none. */
export function lifeStartMillis(stem: string): number {
  return parseBasicTime(LIFE_NAME.exec(`${stem}.log`)?.[1] ?? "");
}

function isLifeRecord(record: unknown): record is LifeRecord {
  const type = (record as { type?: unknown } | null)?.type;
  return type === "open" || type === "level" || type === "series" || type === "finding";
}

function isLastWord(record: unknown): record is LastWord {
  const type = (record as { type?: unknown } | null)?.type;
  return type === "exit" || type === "heap-limit" || type === "signal";
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone, or read-only.
  }
}
