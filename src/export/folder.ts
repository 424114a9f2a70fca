/**
 * Runs on the agent's worker thread. Owns the agent's folder: creating it safely, writing into it, keeping it small.
 * Must never throw out of a write: a read-only or full disk is an ordinary state that is told once and retried.
 */
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve, sep } from "node:path";

/** After a failed write nothing is tried for this long. */
const RETRY_MILLIS = 30_000;
/** Between two lines about a folder that fails: on a disk that is almost full small writes work and large ones do not. */
const TELL_MILLIS = 600_000;
const FULL_CODES: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);
const FIX_ACCESS = "set LEAK_AGENT_DIR to a folder this user can write (in a container: a mounted volume)";
const FIX_SPACE =
  "free some space there, lower LEAK_AGENT_DIR_MAX_MB, or set LEAK_AGENT_DIR to a folder on another disk";
/** The whole folder is measured at most this often; between two looks one process writes a few profiles at most. */
const SWEEP_MILLIS = 60_000;
/** A file whose process is gone is left alone this long: another container may share the folder but not our pids. */
const DEAD_AGE_MILLIS = 600_000;
/** A file that was not touched for this long is nobody's, even if its process id is in use: containers reuse pid 1. */
const STALE_AGE_MILLIS = 86_400_000;
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

const PROFILE_NAME = /^profile-(\d{8}T\d{6}(?:\d{3})?Z)-(\d+)\.pb\.gz$/;
const HISTORY_NAME = /^history-(\d{8}T\d{6}(?:\d{3})?Z)-(\d+)(?:\.(\d+))?\.jsonl$/;
const OTHER_NAMES =
  /^(?:findings(?:\.1)?\.jsonl|agent(?:\.1)?\.log|acknowledged\.json|life-\d{8}T\d{9}Z-\d+\.(?:log|end|over))$/;
/** A profile on its way; what a process that was killed left behind is removed. */
const TEMPORARY_NAME = /^\.write-\d+-(?:profile|life)-[^/]*\.tmp$/;

export type WriteOutcome = "written" | "changed" | "unavailable";

/** Told when the folder stops working (with the reason and what to do), and when it works again (null). */
export type FolderReport = (problem: string | null, fix: string) => void;

export interface OwnFile {
  readonly name: string;
  readonly kind: "profile" | "history";
  /** When the profile was taken, or the process of the history started. */
  readonly timeMillis: number;
  readonly processId: number;
  /** Of a history: 0 is the first; 0 for profiles. */
  readonly segment: number;
  readonly sizeBytes: number;
  readonly modifiedMillis: number;
}

export class AgentFolder {
  private brokenUntilMillis = 0;
  private broken = false;
  private failedBytes = 0;
  private told = false;
  private toldMillis = Number.NEGATIVE_INFINITY;
  private refused = false;
  private ready = false;
  private sweptMillis = Number.NEGATIVE_INFINITY;
  /** Writes that were given up because the folder did not take them. */
  droppedWrites = 0;

  /**
   * @param path absolute path of the folder.
   * @param limitBytes most that our own files may take together.
   */
  constructor(
    readonly path: string,
    readonly limitBytes: number,
    private readonly report: FolderReport,
    private readonly now: () => number = Date.now,
  ) {}

  /** Creates the folder when needed. @returns whether it can be written now. */
  open(): boolean {
    if (this.ready) return true;
    if (this.refused || this.now() < this.brokenUntilMillis) return false;
    try {
      const refusal = createPrivately(this.path);
      if (refusal !== null) {
        this.refused = true;
        this.report(refusal, FIX_ACCESS);
        return false;
      }
      this.ready = true;
      return true;
    } catch (error) {
      this.fail(error, 0);
      return false;
    }
  }

  /**
   * Appends with one write; a partial write is taken back, so that a file never holds half a line of ours.
   * @param expectedSizeBytes the size the file must have before the write; `changed` when it has another (somebody
   * removed or replaced it). Leave it out for files that several processes share.
   */
  append(name: string, text: string, expectedSizeBytes?: number): WriteOutcome {
    const bytes = Buffer.from(text);
    return this.attempt(bytes.length, () => {
      const path = join(this.path, name);
      const isContinued = expectedSizeBytes !== undefined && expectedSizeBytes > 0;
      if (isContinued && !existsSync(path) && existsSync(this.path)) return "changed";
      const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
      const descriptor = openSync(path, flags, FILE_MODE);
      try {
        if (expectedSizeBytes !== undefined && fstatSync(descriptor).size !== expectedSizeBytes) return "changed";
        const written = writeSync(descriptor, bytes);
        if (written === bytes.length) return "written";
        ftruncateSync(descriptor, fstatSync(descriptor).size - written);
        throw Object.assign(new Error("the disk is full"), { code: "ENOSPC" });
      } finally {
        closeSync(descriptor);
      }
    });
  }

  /** Writes a whole file under a temporary name and renames it, so that readers never see half a file. */
  write(name: string, bytes: Uint8Array): WriteOutcome {
    return this.attempt(bytes.length, () => {
      const temporary = join(this.path, `.write-${process.pid}-${name}.tmp`);
      try {
        const descriptor = openSync(temporary, "w", FILE_MODE);
        try {
          for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
        } finally {
          closeSync(descriptor);
        }
        renameSync(temporary, join(this.path, name));
        return "written";
      } catch (error) {
        removeQuietly(temporary);
        throw error;
      }
    });
  }

  /** Moves a shared, append-only file aside once it is too large; the file that was aside is gone. */
  rotate(name: string, aside: string, limitBytes: number): void {
    try {
      if (statSync(join(this.path, name)).size >= limitBytes) renameSync(join(this.path, name), join(this.path, aside));
    } catch {
      // Not there yet, or another process has just rotated it.
    }
  }

  /** Removes one of our files; a file that is already gone is as good. */
  remove(name: string): void {
    if (isOurs(name)) removeQuietly(join(this.path, name));
  }

  /** Profiles and histories in the folder, oldest first; empty when it cannot be read. */
  files(): OwnFile[] {
    return listFolder(this.path);
  }

  /**
   * Keeps the folder under its limit: first the oldest files of dead processes, then the oldest profiles, then what live
   * processes have finished of their histories. Only names made by us are ever touched; the two newest profiles and the
   * history segment that is being written stay.
   */
  sweep(force = false): void {
    const now = this.now();
    if (!this.ready || (!force && now - this.sweptMillis < SWEEP_MILLIS)) return;
    this.sweptMillis = now;
    removeTemporaries(this.path, now);
    let excess = totalBytes(this.path) - this.limitBytes;
    if (excess <= 0) return;
    for (const file of removalOrder(this.files(), now)) {
      this.remove(file.name);
      excess -= file.sizeBytes;
      if (excess <= 0) return;
    }
  }

  private attempt(sizeBytes: number, work: () => WriteOutcome): WriteOutcome {
    if (!this.open()) {
      this.droppedWrites++;
      return "unavailable";
    }
    try {
      const outcome = work();
      if (outcome === "written") this.worked(sizeBytes);
      return outcome;
    } catch (error) {
      this.droppedWrites++;
      this.fail(error, sizeBytes);
      return "unavailable";
    }
  }

  /**
   * A write into the folder worked, here or by the spool, which has its own files below it. A full disk still takes small
   * ones: only one as large as the one that failed shows that there is room again.
   */
  worked(sizeBytes: number): void {
    if (!this.broken || sizeBytes < this.failedBytes) return;
    this.broken = false;
    if (!this.told) return;
    this.told = false;
    this.report(null, "");
  }

  /** The folder cannot be written; so for the spool. */
  fail(error: unknown, sizeBytes: number): void {
    this.ready = false;
    this.failedBytes = sizeBytes;
    this.brokenUntilMillis = this.now() + RETRY_MILLIS;
    if (this.broken) return;
    this.broken = true;
    if (this.now() - this.toldMillis < TELL_MILLIS) return;
    this.told = true;
    this.toldMillis = this.now();
    const isFull = FULL_CODES.has((error as NodeJS.ErrnoException).code ?? "");
    this.report(`${this.path} cannot be written (${reason(error)})`, isFull ? FIX_SPACE : FIX_ACCESS);
  }
}

/** Our profiles and histories in a folder, oldest first; empty when it cannot be read. */
export function listFolder(folder: string): OwnFile[] {
  const files: OwnFile[] = [];
  for (const name of namesIn(folder)) {
    const match = PROFILE_NAME.exec(name) ?? HISTORY_NAME.exec(name);
    if (match === null) continue;
    try {
      const { size, mtimeMs } = statSync(join(folder, name));
      files.push({
        name,
        kind: name.startsWith("profile") ? "profile" : "history",
        timeMillis: parseBasicTime(match[1] ?? ""),
        processId: Number(match[2]),
        segment: Number(match[3] ?? 0),
        sizeBytes: size,
        modifiedMillis: mtimeMs,
      });
    } catch {
      // Another process of the service removed it between the two calls.
    }
  }
  return files.sort((a, b) => a.timeMillis - b.timeMillis || a.processId - b.processId || a.segment - b.segment);
}

/** `20261125T100000123Z`: ISO 8601 basic format in UTC with milliseconds, so that names sort by time. */
export function basicTime(timeMillis: number): string {
  return new Date(timeMillis).toISOString().replace(/[-:.]/g, "");
}

/** The inverse of `basicTime`, with or without milliseconds; NaN when it is none. */
export function parseBasicTime(text: string): number {
  const parts = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})(\d{3})?Z$/.exec(text);
  if (parts === null) return Number.NaN;
  const at = (index: number): number => Number(parts[index] ?? 0);
  return Date.UTC(at(1), at(2) - 1, at(3), at(4), at(5), at(6), at(7));
}

function isOurs(name: string): boolean {
  return [PROFILE_NAME, HISTORY_NAME, OTHER_NAMES, TEMPORARY_NAME].some((pattern) => pattern.test(name));
}

function removalOrder(files: readonly OwnFile[], now: number): OwnFile[] {
  const spared = new Set(files.filter((file) => file.kind === "profile").slice(-2));
  const rest = files.filter((file) => !spared.has(file));
  const dead = rest.filter((file) => isDead(file, now));
  const gone = new Set(dead);
  const live = rest.filter((file) => !gone.has(file));
  const newestSegments = new Map(live.filter((file) => file.kind === "history").map((file) => [lifeOf(file), file]));
  const finished = live.filter((file) => file.kind === "history" && newestSegments.get(lifeOf(file)) !== file);
  return [...dead, ...live.filter((file) => file.kind === "profile"), ...finished];
}

function isDead(file: OwnFile, now: number): boolean {
  const age = now - file.modifiedMillis;
  return age > STALE_AGE_MILLIS || (age > DEAD_AGE_MILLIS && !isAlive(file.processId));
}

function lifeOf(file: OwnFile): string {
  return `${file.timeMillis}/${file.processId}`;
}

function removeTemporaries(folder: string, now: number): void {
  for (const name of namesIn(folder)) {
    if (!TEMPORARY_NAME.test(name)) continue;
    const path = join(folder, name);
    try {
      if (now - statSync(path).mtimeMs > DEAD_AGE_MILLIS) removeQuietly(path);
    } catch {
      // It has just become a profile.
    }
  }
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"; // EPERM: alive, and somebody else's.
  }
}

function totalBytes(folder: string): number {
  let total = 0;
  for (const name of namesIn(folder)) {
    if (!isOurs(name)) continue;
    try {
      total += statSync(join(folder, name)).size;
    } catch {
      // Removed by another process of the service.
    }
  }
  return total;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // No folder is the same as an empty one; writing into it tells the reason.
  }
}

/** @returns why the folder must not be used, or null. @throws the file system's error when it cannot be made. */
function createPrivately(folder: string): string | null {
  const shared = resolve(tmpdir()) + sep;
  const isDefault = folder.startsWith(`${shared}leak-agent-`);
  if (isDefault) {
    // In a shared temporary folder somebody else may have put a trap at this name before us.
    for (const part of [dirname(folder), folder]) {
      if (part.length < shared.length) continue;
      const refusal = makeOwnDirectory(part);
      if (refusal !== null) return refusal;
    }
    return null;
  }
  makeWithParents(folder);
  if (!statSync(folder).isDirectory()) throw Object.assign(new Error("it is not a folder"), { code: "ENOTDIR" });
  return null;
}

/** Not `recursive: true`: below /proc, where nothing can be made, Node 20 to 26 try for ever. */
function makeWithParents(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeWithParents(dirname(path));
  try {
    mkdirSync(path, { mode: DIRECTORY_MODE });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // Another process was faster.
  }
}

function makeOwnDirectory(path: string): string | null {
  try {
    mkdirSync(path, { mode: DIRECTORY_MODE });
    return null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const found = lstatSync(path);
  if (found.isSymbolicLink()) return `${path} is a symbolic link, which may be a trap`;
  if (!found.isDirectory()) return `${path} is not a folder`;
  const uid = process.getuid?.();
  if (uid !== undefined && found.uid !== uid) return `${path} belongs to somebody else (uid ${found.uid})`;
  if ((found.mode & 0o077) !== 0) chmodSync(path, DIRECTORY_MODE);
  return null;
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Already gone, or the disk is read-only: nothing is lost by leaving it.
  }
}

function reason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  const words: Record<string, string> = {
    EROFS: "the file system is read-only",
    ENOSPC: "the disk is full",
    EDQUOT: "the disk quota is used up",
    EACCES: "no permission",
    EPERM: "no permission",
    ENOTDIR: "a part of the path is not a folder",
    EEXIST: "a part of the path is not a folder",
  };
  const word = code === undefined ? undefined : words[code];
  return word ?? (error instanceof Error ? (error.message.split("\n", 1)[0] ?? error.name) : String(error));
}
