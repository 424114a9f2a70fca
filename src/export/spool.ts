/**
 * Runs on the agent's worker thread. Owns the bodies that wait for a backend: one file each in `<folder>/spool/<signal>`, bounded
 * in bytes and age, the oldest dropped first and counted; in memory only while there is no folder. Never throws. Each body is sent
 * by the one process life that owns it; what a dead life left is taken over.
 */
import { closeSync, lstatSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { OtlpSignal } from "../config";
import { namesIn, type ProcessIdentity, SpoolLives, unlinked } from "./spool-lives";
import {
  decodeRecord,
  encodeRecord,
  formatRecordName,
  parseRecordName,
  RECORD_HEADER_BYTES,
  type RecordName,
} from "./spool-record";

export const SPOOL_FOLDER = "spool";
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
/** Most that waits in memory while the folder cannot be written. */
export const MEMORY_LIMIT_BYTES: number = 4 * 1024 * 1024;
/** After a failed write the disk is left alone for this long. */
const RETRY_MILLIS = 30_000;

/** Makes the folder, and tells people when it cannot be written. */
export interface SpoolFolder {
  readonly path: string;
  open(): boolean;
  worked(sizeBytes: number): void;
  fail(error: unknown, sizeBytes: number): void;
}

export interface SpoolOptions {
  readonly signal: OtlpSignal;
  /** The agent's folder, or null. */
  readonly folder: SpoolFolder | null;
  /** Most that this signal's records may take together, of all processes. */
  readonly limitBytes: number;
  readonly maxAgeMillis: number;
  /** A new body replaces those of this life that still wait: totals, of which the last says everything. */
  readonly isNewestOnly?: boolean;
  readonly identity: ProcessIdentity;
  readonly now?: () => number;
}

/** Totals of this life. `put + adopted = taken out + replaced + every kind of loss + waiting`. */
export interface SpoolCounts {
  /** Bodies handed in. */
  put: number;
  /** Bodies taken over from dead lives. */
  adopted: number;
  /** Dropped, oldest first, because the spool was full. */
  droppedForSpace: number;
  droppedForAge: number;
  /** Refused by the backend for good. */
  droppedByBackend: number;
  /** Records that a kill or the disk had damaged. */
  droppedDamaged: number;
  /** What dead lives had dropped before their end: counted nowhere else. */
  inheritedDrops: number;
  /** Replaced by a newer body before they were sent. */
  replaced: number;
}

/** One body on its way: exactly one of `remove` and `putBack` must follow. */
export interface SpooledBody {
  readonly createdMillis: number;
  readonly body: Uint8Array;
  /** Null: in memory. */
  readonly name: RecordName | null;
}

interface MemoryRecord {
  readonly createdMillis: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

export class Spool {
  readonly counts: SpoolCounts = {
    put: 0,
    adopted: 0,
    droppedForSpace: 0,
    droppedForAge: 0,
    droppedByBackend: 0,
    droppedDamaged: 0,
    inheritedDrops: 0,
    replaced: 0,
  };
  /** Sequence numbers of records that came from dead lives and still wait. */
  private readonly adopted = new Set<number>();
  private readonly path: string | null;
  private readonly lives: SpoolLives | null;
  private readonly now: () => number;
  private memory: MemoryRecord[] = [];
  private sequence = 0;
  private isReady = false;
  private brokenUntilMillis = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: SpoolOptions) {
    this.now = options.now ?? Date.now;
    this.path = options.folder === null ? null : join(options.folder.path, SPOOL_FOLDER, options.signal);
    this.lives = this.path === null ? null : new SpoolLives(this.path, options.identity, this.now);
  }

  /** Bodies dropped by this life and those before it, for whatever reason. */
  get droppedCount(): number {
    const { droppedForSpace, droppedForAge, droppedByBackend, droppedDamaged, inheritedDrops } = this.counts;
    return droppedForSpace + droppedForAge + droppedByBackend + droppedDamaged + inheritedDrops;
  }

  /** Bodies that this life will still send, the one that is being sent included. */
  get waitingCount(): number {
    return this.memory.length + this.ownRecords().length;
  }

  /** @param body gzipped. */
  put(body: Uint8Array): void {
    this.counts.put++;
    if (this.options.isNewestOnly === true) this.replaceOwn();
    if (body.length + RECORD_HEADER_BYTES > this.options.limitBytes) {
      this.counts.droppedForSpace++;
      return;
    }
    this.save(); // What waited longer is stored first.
    const createdMillis = this.now();
    const sequence = this.sequence++;
    if (!this.store(body, createdMillis, sequence)) this.remember({ createdMillis, sequence, body });
    this.renew();
  }

  /** The oldest body that waits, marked as being sent; null when none does. */
  take(): SpooledBody | null {
    this.dropOld();
    for (const name of this.ownRecords()) {
      const first = this.memory[0];
      if (first !== undefined && first.createdMillis < name.createdMillis) break;
      const taken = name.state === "otlp" ? this.takeRecord(name) : null;
      if (taken !== null) return taken;
    }
    const next = this.memory.shift();
    return next === undefined ? null : { createdMillis: next.createdMillis, body: next.body, name: null };
  }

  /** @param isRejected the backend will never take it; otherwise it has arrived. */
  remove(taken: SpooledBody, isRejected = false): void {
    if (isRejected) this.counts.droppedByBackend++;
    if (taken.name !== null) unlinked(this.file({ ...taken.name, state: "sending" }));
    if (isRejected) this.renew(); // The count must outlive a kill: nobody else knows of this body any more.
  }

  /** It waits again, first in line. */
  putBack(taken: SpooledBody): void {
    if (taken.name === null) {
      this.memory.unshift({ createdMillis: taken.createdMillis, sequence: -1, body: taken.body });
      this.boundMemory();
      return;
    }
    this.rename({ ...taken.name, state: "sending" }, { ...taken.name, state: "otlp" });
  }

  /** Takes over what dead lives left, drops what is too old, and tells others that this life goes on. */
  maintain(): void {
    const isOpen = this.open();
    if (isOpen) this.save();
    if (isOpen || this.isAlone()) {
      this.adopt();
      this.dropOld();
      this.forgetGone();
    }
    this.renew();
  }

  /**
   * A full disk has no room for the file that tells others of this life, but sending what waits there makes room; where
   * nobody else lives who could send it too.
   */
  private isAlone(): boolean {
    const { lives } = this;
    return lives?.others().every((life) => lives.isDead(life, 0)) === true;
  }

  /** The process is about to leave: a folder that did not work a moment ago is tried once more. */
  saveAtExit(): void {
    this.brokenUntilMillis = Number.NEGATIVE_INFINITY;
    this.save();
  }

  /** As soon as there is a folder, nothing waits in memory: a process that ends takes that with it, uncounted. */
  private save(): void {
    for (;;) {
      const oldest = this.memory[0];
      if (oldest === undefined) return;
      const sequence = oldest.sequence < 0 ? this.sequence++ : oldest.sequence;
      if (!this.store(oldest.body, oldest.createdMillis, sequence)) return;
      this.memory.shift();
    }
  }

  private store(body: Uint8Array, createdMillis: number, sequence: number): boolean {
    if (!this.open()) return false;
    const record = encodeRecord(body);
    this.makeRoom(record.length);
    const name: RecordName = this.ownName({ createdMillis, sequence });
    const temporary = this.file({ ...name, state: "tmp" });
    try {
      this.renewOrThrow(); // Before the first record: without a life file it could be taken for a dead life's.
      const descriptor = openSync(temporary, "wx", FILE_MODE);
      try {
        for (let at = 0; at < record.length; ) at += writeSync(descriptor, record, at);
      } finally {
        closeSync(descriptor);
      }
      renameSync(temporary, this.file(name));
      this.options.folder?.worked(record.length);
      return true;
    } catch (error) {
      unlinked(temporary);
      this.fail(error, record.length);
      return false;
    }
  }

  /** What is being sent stays, and so does what dead lives left: it is the last of theirs. */
  private replaceOwn(): void {
    this.counts.replaced += this.memory.length;
    this.memory = [];
    for (const name of this.ownRecords()) {
      const isWaiting = name.state === "otlp" && !this.adopted.has(name.sequence);
      if (isWaiting && unlinked(this.file(name))) this.counts.replaced++;
    }
  }

  private remember(record: MemoryRecord): void {
    this.memory.push(record);
    this.boundMemory();
  }

  private boundMemory(): void {
    const limit = Math.min(MEMORY_LIMIT_BYTES, this.options.limitBytes);
    let bytes = this.memory.reduce((sum, record) => sum + record.body.length, 0);
    while (bytes > limit) {
      const oldest = this.memory.shift();
      bytes -= oldest?.body.length ?? 0;
      this.counts.droppedForSpace++;
    }
  }

  /** Drops the oldest of anybody's records; one that is being sent is left to its sender. */
  private makeRoom(neededBytes: number): void {
    const sized = this.records(["otlp", "sending"]).map((name) => ({ name, bytes: sizeOf(this.file(name)) }));
    let excess = sized.reduce((sum, { bytes }) => sum + bytes, neededBytes) - this.options.limitBytes;
    for (const { name, bytes } of sized) {
      if (excess <= 0) return;
      if (name.state === "sending") continue;
      if (unlinked(this.file(name))) this.counts.droppedForSpace++;
      excess -= bytes;
    }
  }

  private dropOld(): void {
    const oldest = this.now() - this.options.maxAgeMillis;
    for (const name of this.ownRecords()) {
      if (name.createdMillis >= oldest) break;
      if (name.state === "otlp" && unlinked(this.file(name))) this.counts.droppedForAge++;
    }
    while ((this.memory[0]?.createdMillis ?? Number.POSITIVE_INFINITY) < oldest) {
      this.memory.shift();
      this.counts.droppedForAge++;
    }
  }

  private takeRecord(name: RecordName): SpooledBody | null {
    const sending: RecordName = { ...name, state: "sending" };
    if (!this.rename(name, sending)) return null; // Dropped by another process, which has counted it.
    let body: Uint8Array | null = null;
    try {
      body = decodeRecord(readFileSync(this.file(sending)));
    } catch {
      // As good as damaged.
    }
    if (body !== null) return { createdMillis: name.createdMillis, body, name };
    if (unlinked(this.file(sending))) this.counts.droppedDamaged++;
    return null;
  }

  private adopt(): void {
    const { lives } = this;
    if (lives === null) return;
    const records = this.records(["otlp", "sending", "tmp"]);
    const owners = new Set([...records.map((name) => name.life), ...lives.others()]);
    for (const life of owners) {
      const left = records.filter((name) => name.life === life);
      const newestMillis = Math.max(0, ...left.map((name) => name.createdMillis));
      if (!lives.isDead(life, newestMillis)) continue;
      for (const name of left) this.adoptRecord(name);
      this.counts.inheritedDrops += lives.bury(life);
    }
    lives.removeTemporaries();
  }

  /** What its process was sending may have arrived: it is sent again, as after any broken connection. */
  private adoptRecord(name: RecordName): void {
    if (name.state === "tmp") {
      if (unlinked(this.file(name))) this.counts.droppedDamaged++;
      return;
    }
    const own = this.ownName({ ...name, sequence: this.sequence++ });
    if (!this.rename(name, own)) return;
    this.counts.adopted++;
    this.adopted.add(own.sequence);
  }

  private forgetGone(): void {
    const waiting = new Set(this.ownRecords().map((name) => name.sequence));
    for (const sequence of this.adopted) if (!waiting.has(sequence)) this.adopted.delete(sequence);
  }

  private open(): boolean {
    const { folder } = this.options;
    if (this.path === null || folder === null || this.now() < this.brokenUntilMillis) return false;
    if (this.isReady) return true;
    try {
      if (!folder.open()) return false;
      mkdirSync(this.path, { recursive: true, mode: DIRECTORY_MODE });
      if (!lstatSync(this.path).isDirectory()) throw new Error("a link may lead anywhere");
      this.isReady = true;
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  private fail(error: unknown, sizeBytes = 0): void {
    this.isReady = false;
    this.brokenUntilMillis = this.now() + RETRY_MILLIS;
    this.options.folder?.fail(error, sizeBytes);
  }

  private renew(): void {
    if (!this.isReady) return;
    try {
      this.renewOrThrow();
    } catch (error) {
      this.fail(error);
    }
  }

  private renewOrThrow(): void {
    this.lives?.renew(this.droppedCount, this.counts.replaced);
  }

  private rename(from: RecordName, to: RecordName): boolean {
    try {
      renameSync(this.file(from), this.file(to));
      return true;
    } catch {
      return false; // Gone: another process was faster.
    }
  }

  /** Own records that are not being sent, and the one that is, oldest first. */
  private ownRecords(): RecordName[] {
    return this.records(["otlp", "sending"]).filter((name) => name.life === this.lives?.own);
  }

  private records(states: readonly RecordName["state"][]): RecordName[] {
    if (this.path === null) return [];
    return namesIn(this.path).flatMap((file) => {
      const name = parseRecordName(file);
      return name !== null && states.includes(name.state) ? [name] : [];
    });
  }

  private ownName(name: Omit<RecordName, "life" | "state">): RecordName {
    return { ...name, life: this.lives?.own ?? "", state: "otlp" };
  }

  private file(name: RecordName): string {
    return join(this.path ?? "", formatRecordName(name));
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0; // Dropped by another process.
  }
}
