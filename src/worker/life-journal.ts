/**
 * Runs on the agent's worker thread. Owns this process life on disk: its opening, its signs of life, its numbers; and how
 * the lives before it ended.
 */
import { readFileSync } from "node:fs";
import { type LifeEnd, lifeEndLine, lifeEndOf, type NowFacts } from "../detector/restart-cause";
import type { AgentFolder } from "../export/folder";
import { claimEnd, LifeWriter, lifeStem, type PastLife, readLives, SILENT_MILLIS } from "../export/life-file";
import { isAlive } from "../export/spool-lives";
import type { Finding } from "../model/finding";
import type { LifeOpening, LifeSeries } from "../model/life";
import type { LevelReading } from "../model/observation";
import type { AgentLog } from "./log";
import { readOomKills } from "./oom-kills";

/** Signs of life for those in another process id namespace. */
const RENEW_MILLIS = SILENT_MILLIS / 3;
/** A life on another host that shares the folder. */
const STALE_ELSEWHERE_MILLIS = 600_000;
/** Least time between two level records, as a part of the horizon, and its bounds. */
const LEVELS_PER_HORIZON = 60;
const MIN_LEVEL_MILLIS = 1_000;
const MAX_LEVEL_MILLIS = 60_000;

export interface JournalOptions {
  readonly folder: AgentFolder;
  readonly log: AgentLog;
  readonly opening: LifeOpening;
  readonly facts?: NowFacts;
  readonly readOomKills?: typeof readOomKills;
  readonly now?: () => number;
}

export class LifeJournal {
  private readonly writer: LifeWriter;
  private readonly now: () => number;
  private readonly stem: string;
  private levelMillis = Number.NEGATIVE_INFINITY;
  private readonly timers: NodeJS.Timeout[] = [];
  /** Lives of this service before this one, oldest first. */
  past: readonly PastLife[] = [];

  constructor(private readonly options: JournalOptions) {
    this.now = options.now ?? Date.now;
    this.writer = new LifeWriter(options.folder, options.opening);
    this.stem = lifeStem(options.opening.startTimeMillis, options.opening.processId);
  }

  get endFile(): string {
    return this.writer.endFile;
  }

  get droppedRecords(): number {
    return this.writer.droppedRecords;
  }

  /** Newest word of each finding of this life. */
  get findings(): readonly Finding[] {
    return this.writer.findings;
  }

  get opening(): LifeOpening {
    return this.options.opening;
  }

  /** First thing in a life: tells how the one before ended, then begins this one. */
  begin(): void {
    this.past = this.others();
    this.tellEnds(this.past);
    this.writer.open();
    this.timers.push(setInterval(() => this.writer.renew(this.now()), RENEW_MILLIS).unref());
    // A container that was restarted at once: its process cannot be seen, its last sign of life is seconds old.
    const isDoubtful = this.past.some((life) => !life.isTold && !this.isOver(life) && !this.isNeighbour(life));
    if (isDoubtful)
      this.timers.push(setTimeout(() => this.tellEnds(this.others()), SILENT_MILLIS + RENEW_MILLIS).unref());
  }

  close(): void {
    for (const timer of this.timers) clearTimeout(timer);
  }

  noteLevel(level: LevelReading, nowMillis: number): void {
    const { horizonMillis } = this.options.opening;
    const spacing = Math.min(MAX_LEVEL_MILLIS, Math.max(MIN_LEVEL_MILLIS, horizonMillis / LEVELS_PER_HORIZON));
    if (nowMillis - this.levelMillis < spacing) return;
    this.levelMillis = nowMillis;
    const oomKills = (this.options.readOomKills ?? readOomKills)();
    this.writer.append({ type: "level", timeMillis: nowMillis, level, oomKills });
  }

  noteSeries(series: readonly LifeSeries[]): void {
    if (series.length > 0) this.writer.append({ type: "series", series });
  }

  noteFinding(finding: Finding): void {
    this.writer.append({ type: "finding", finding });
  }

  /** Another service in the same folder has lives of its own: how they ended is told by its own next life. */
  private others(): PastLife[] {
    const { service } = this.options.opening;
    return readLives(this.options.folder.path).filter(
      (life) => life.stem !== this.stem && life.opening.service === service,
    );
  }

  /** Each end is told once, by whichever life claims it first; the newest in words, the others as a number. */
  private tellEnds(lives: readonly PastLife[]): void {
    const ended = lives.filter((life) => !life.isTold && this.isOver(life));
    const claimed = ended.filter((life) => claimEnd(this.options.folder.path, life.stem));
    const newest = claimed.at(-1);
    if (newest === undefined) return;
    const end = lifeEndOf(newest, this.options.facts ?? currentFacts());
    const more = claimed.length === 1 ? "" : `; ${claimed.length - 1} more ended before it (leak-agent report)`;
    const message = `the life before: ${lifeEndLine(newest, end)}${more}`;
    const fields = fieldsOf(newest, end);
    if (end.cause === "exit" || end.cause === "signal") this.options.log.info(message, fields);
    else this.options.log.warn("LEAK_AGENT_RESTART", message, fields);
  }

  private isOver(life: PastLife): boolean {
    const { processId } = life.opening;
    // A process may survive its heap limit, when somebody raises it.
    if (life.lastWord !== null && life.lastWord.type !== "heap-limit") return true;
    if (!this.isNeighbour(life)) return this.isStale(life);
    // Under this process's own id there can only be an earlier life.
    return processId === this.options.opening.processId || !isAlive(processId);
  }

  /** Its process id means something here. */
  private isNeighbour(life: PastLife): boolean {
    return life.opening.place === this.options.opening.place;
  }

  private isStale(life: PastLife): boolean {
    const [host] = life.opening.place.split(" ");
    const isHere = host === this.options.opening.place.split(" ")[0];
    return this.now() - life.renewedMillis > (isHere ? SILENT_MILLIS : STALE_ELSEWHERE_MILLIS);
  }
}

function fieldsOf(life: PastLife, end: LifeEnd): object {
  return {
    previousProcessId: life.opening.processId,
    previousBuildId: life.opening.buildId,
    cause: end.cause,
    likely: end.likely,
    exitCode: end.exitCode,
    signal: end.signal,
    aliveSeconds: Math.round(end.aliveMillis / 1_000),
  };
}

export function currentFacts(): NowFacts {
  return { bootId: readBootId(), oomKills: readOomKills() };
}

export function readBootId(): string | null {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return null; // Not Linux.
  }
}
