/**
 * Runs on the agent's worker thread. Owns which process life owns what lies in the spool: each has a file that it renews,
 * with what it had to drop. Only what a dead life left is taken over, so that no two processes send one body.
 */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

/** A life whose file was not renewed for this long is dead: its process is gone, stopped, or of another container. */
export const STALE_LIFE_MILLIS = 120_000;
const RENEW_MILLIS = 20_000;
const FILE_MODE = 0o600;
const LIFE_NAME = /^([0-9a-z]+-\d+-[0-9a-f]+)\.life$/;
const LIFE_TEMPORARY = /^[0-9a-z]+-(\d+)-[0-9a-f]+\.life-tmp$/;

export interface ProcessIdentity {
  readonly processId: number;
  readonly processStartMillis: number;
  /** Process ids can be compared only within one host and one process id namespace. */
  readonly place: string;
  readonly isAlive: (processId: number) => boolean;
}

interface LifeFile {
  readonly processId: number;
  readonly place: string;
  readonly renewedMillis: number;
  /** Bodies that this life dropped, so that the count outlives a kill. */
  readonly droppedCount: number;
  /** Totals that this life replaced by newer ones. Not in files of older versions. */
  readonly replacedCount?: number;
}

export function currentProcess(processStartMillis: number): ProcessIdentity {
  return { processId: process.pid, processStartMillis, place: placeOfProcess(), isAlive };
}

export class SpoolLives {
  /** This life's name: start, process id, and chance, since a restarted worker is a new life of the same process. */
  readonly own: string;
  private renewedMillis = Number.NEGATIVE_INFINITY;
  private droppedCount = 0;
  private replacedCount = 0;

  constructor(
    private readonly folder: string,
    private readonly identity: ProcessIdentity,
    private readonly now: () => number,
  ) {
    const start = Math.max(0, Math.floor(identity.processStartMillis)).toString(36);
    this.own = `${start}-${identity.processId}-${randomBytes(3).toString("hex")}`;
  }

  /** Tells others that this life goes on. @throws the file system's error. */
  renew(droppedCount: number, replacedCount = 0): void {
    const isNews = droppedCount !== this.droppedCount || replacedCount !== this.replacedCount;
    const isDue = isNews || this.now() - this.renewedMillis >= RENEW_MILLIS;
    if (!isDue) return;
    const { processId, place } = this.identity;
    const file: LifeFile = { processId, place, renewedMillis: this.now(), droppedCount, replacedCount };
    const temporary = join(this.folder, `${this.own}.life-tmp`);
    writeFileSync(temporary, JSON.stringify(file), { mode: FILE_MODE });
    renameSync(temporary, join(this.folder, `${this.own}.life`));
    this.renewedMillis = file.renewedMillis;
    this.droppedCount = droppedCount;
    this.replacedCount = replacedCount;
  }

  /**
   * @param newestMillis when the newest record of this life was written.
   * @returns whether nobody of this life will ever send again.
   */
  isDead(life: string, newestMillis: number): boolean {
    if (life === this.own) return false;
    const file = this.read(life);
    if (file === null) return this.now() - newestMillis > STALE_LIFE_MILLIS;
    if (this.now() - file.renewedMillis > STALE_LIFE_MILLIS) return true;
    if (file.place !== this.identity.place) return false;
    // Under this process's own id there can only be an earlier life.
    return file.processId === this.identity.processId || !this.identity.isAlive(file.processId);
  }

  /** Lives that have a file, this one left out. */
  others(): string[] {
    const lives = namesIn(this.folder).map((name) => LIFE_NAME.exec(name)?.[1]);
    return lives.filter((life): life is string => life !== undefined && life !== this.own);
  }

  /** Ends a dead life. @returns what it had dropped; 0 when another process was faster. */
  bury(life: string): number {
    const dropped = this.read(life)?.droppedCount ?? 0;
    return unlinked(join(this.folder, `${life}.life`)) ? dropped : 0;
  }

  /** Removes what a killed process left half-written of its life file; it holds nothing that is not known. */
  removeTemporaries(): void {
    for (const name of namesIn(this.folder)) {
      const processId = Number(LIFE_TEMPORARY.exec(name)?.[1] ?? Number.NaN);
      if (Number.isNaN(processId) || name.startsWith(`${this.own}.`)) continue;
      const isOurs = processId === this.identity.processId;
      if (isOurs || !this.identity.isAlive(processId)) unlinked(join(this.folder, name));
    }
  }

  private read(life: string): LifeFile | null {
    try {
      const value = JSON.parse(readFileSync(join(this.folder, `${life}.life`), "utf8")) as LifeFile | null;
      const numbers = [value?.processId, value?.renewedMillis, value?.droppedCount];
      return numbers.every((number) => typeof number === "number") ? value : null;
    } catch {
      return null; // Gone, or not ours: its records then are judged by their own age.
    }
  }
}

/** Names in a folder, sorted; empty when it cannot be read. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // Writing into it tells the reason.
  }
}

/** @returns false when the file was gone already: then somebody else has counted it. */
export function unlinked(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

export function placeOfProcess(): string {
  let namespace = "";
  try {
    namespace = readlinkSync("/proc/self/ns/pid");
  } catch {
    // Only Linux has namespaces.
  }
  return `${hostname()} ${namespace}`;
}

export function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"; // EPERM: alive, and somebody else's.
  }
}
