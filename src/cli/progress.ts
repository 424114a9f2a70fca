/**
 * Runs in the CLI process. Owns the progress shown on stderr during long work: a bar on a terminal, else nothing unless
 * asked for. Must not write to stdout, which may be read by a program.
 */
import type { WriteStream } from "node:tty";
import { duration, percent } from "./quantities";

const BAR_COLUMNS = 30;
/** Work shorter than this shows no bar at all. */
const QUIET_MILLIS = 300;
const BAR_EVERY_MILLIS = 100;
const LINE_EVERY_MILLIS = 5_000;

export type ProgressStream = Pick<WriteStream, "isTTY" | "write">;

export interface Progress {
  /** @param doneRatio 0..1. */
  update(doneRatio: number): void;
  /** Removes the bar, so that what is printed next starts on a clean line. */
  clear(): void;
}

/**
 * @param plainLines true for `--progress`: one line every five seconds where stderr is no terminal.
 */
export function startProgress(
  title: string,
  stream: ProgressStream,
  plainLines: boolean,
  now: () => number = Date.now,
): Progress {
  if (stream.isTTY === true) return new ProgressBar(title, stream, now);
  return plainLines ? new ProgressLines(title, stream, now) : { update: () => {}, clear: () => {} };
}

class ProgressBar implements Progress {
  private readonly startMillis: number;
  private lastMillis = 0;
  private drawn = false;

  constructor(
    private readonly title: string,
    private readonly stream: ProgressStream,
    private readonly now: () => number,
  ) {
    this.startMillis = now();
  }

  update(doneRatio: number): void {
    const now = this.now();
    if (now - this.startMillis < QUIET_MILLIS || now - this.lastMillis < BAR_EVERY_MILLIS) return;
    this.lastMillis = now;
    this.drawn = true;
    const full = Math.round(Math.min(1, Math.max(0, doneRatio)) * BAR_COLUMNS);
    const bar = "#".repeat(full) + ".".repeat(BAR_COLUMNS - full);
    this.stream.write(`\r${this.title} [${bar}] ${percent(doneRatio)}\x1b[K`);
  }

  clear(): void {
    if (!this.drawn) return;
    this.drawn = false;
    this.stream.write("\r\x1b[K");
  }
}

class ProgressLines implements Progress {
  private readonly startMillis: number;
  private lastMillis: number;

  constructor(
    private readonly title: string,
    private readonly stream: ProgressStream,
    private readonly now: () => number,
  ) {
    this.startMillis = now();
    this.lastMillis = this.startMillis;
  }

  update(doneRatio: number): void {
    const now = this.now();
    if (now - this.lastMillis < LINE_EVERY_MILLIS) return;
    this.lastMillis = now;
    this.stream.write(`${this.title}: ${percent(doneRatio)} after ${duration(now - this.startMillis)}\n`);
  }

  clear(): void {}
}
