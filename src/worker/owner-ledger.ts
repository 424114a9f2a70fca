/**
 * Runs on the agent's worker thread. Owns who allocated each ordinal and when, for one sampler of one thread: ledger
 * ranges, request records and birth windows, as long as a sample may still ask for them.
 */
import { LEDGER_WORDS, RECORD_BACKGROUND, RECORD_OPEN, RECORD_WORDS, WINDOW_WORDS } from "../model/messages";
import {
  OWNER_AGENT,
  OWNER_BACKGROUND,
  OWNER_STARTUP,
  OWNER_UNATTRIBUTED,
  type OwnerKind,
  type OwnerToken,
} from "../model/owner";

/** Ranges wait here from the report that brings them to the next capture; older ones are dropped first, counted. */
const MAX_RANGES = 200_000;
/** Ended requests are remembered while timers of theirs may go on allocating: the latest this many that own a sample. */
const MAX_RECORDS = 262_144;
const FIRST_RECORDS = 1_024;
const MAX_WINDOWS = 100_000;

export interface BirthWindow {
  readonly endMillis: number;
  /** Mark-compacts completed when it ended. */
  readonly majorGcCount: number;
}

/** `pending`: the request still runs or has not been told yet. */
export type Ownership =
  | { readonly state: "pending" }
  | { readonly state: "known"; readonly kind: OwnerKind; readonly threadRoute: number };

const PENDING: Ownership = { state: "pending" };
const UNATTRIBUTED: Ownership = { state: "known", kind: "unattributed", threadRoute: -1 };
const BACKGROUND: Ownership = { state: "known", kind: "background", threadRoute: -1 };
const SPECIAL: ReadonlyMap<OwnerToken, Ownership> = new Map([
  [OWNER_BACKGROUND, BACKGROUND],
  [OWNER_STARTUP, { state: "known", kind: "startup", threadRoute: -1 }],
  [OWNER_UNATTRIBUTED, UNATTRIBUTED],
  [OWNER_AGENT, { state: "known", kind: "agent", threadRoute: -1 }],
]);

export class OwnerLedger {
  private ranges: Rows = new Rows(LEDGER_WORDS);
  private windows: Rows = new Rows(WINDOW_WORDS);
  private readonly records = new RecordRing();
  private labelsFromOrdinal = 0;
  droppedRows = 0;

  absorb(report: {
    labelsFromOrdinal: number;
    ledger: Float64Array;
    records: Float64Array;
    windows: Float64Array;
  }): void {
    this.labelsFromOrdinal = report.labelsFromOrdinal;
    this.droppedRows += this.ranges.append(report.ledger, MAX_RANGES, 0);
    this.droppedRows += this.windows.append(report.windows, MAX_WINDOWS, 1);
    for (let at = 0; at + RECORD_WORDS <= report.records.length; at += RECORD_WORDS) {
      this.records.set(report.records[at] ?? 0, report.records[at + 1] ?? -1, report.records[at + 2] ?? 0);
    }
  }

  /** The token that owns an ordinal, or null when no range covers it (yet). */
  tokenOf(ordinal: number): OwnerToken | null {
    const row = this.ranges.lastAtMost(0, ordinal);
    const token = row >= 0 && ordinal <= this.ranges.at(row, 1) ? this.ranges.at(row, 2) : null;
    if (ordinal > this.labelsFromOrdinal) return token;
    return token === OWNER_STARTUP ? OWNER_STARTUP : OWNER_UNATTRIBUTED;
  }

  ownershipOf(ordinal: number, token: OwnerToken): Ownership {
    const special = SPECIAL.get(token);
    if (special !== undefined) return special;
    if (token < 0) return UNATTRIBUTED;
    const slot = this.records.slotOf(token);
    if (slot === FORGOTTEN) return UNATTRIBUTED;
    if (slot === NOT_TOLD || this.records.endOrdinal(slot) === RECORD_OPEN) return PENDING;
    if (this.records.threadRoute(slot) === RECORD_BACKGROUND) return BACKGROUND;
    const kind = ordinal > this.records.endOrdinal(slot) ? "background-of" : "request";
    return { state: "known", kind, threadRoute: this.records.threadRoute(slot) };
  }

  /** The window an ordinal was born in, or null while that window is still open. */
  windowOf(ordinal: number): BirthWindow | null {
    const row = this.windows.firstAtLeast(1, ordinal);
    if (row < 0) return null;
    return { endMillis: this.windows.at(row, 0), majorGcCount: this.windows.at(row, 2) };
  }

  /** Forgets ranges and windows that only ordinals up to and including this one could ask for. */
  forgetThrough(ordinal: number): void {
    this.ranges.dropWhile(1, ordinal);
    this.windows.dropWhile(1, ordinal);
  }
}

const NOT_TOLD = -1;
const FORGOTTEN = -2;

/** The latest request records by id; ids count up, so an id's place is its remainder. 16 bytes a record. */
class RecordRing {
  private ids = new Uint32Array(FIRST_RECORDS);
  private routes = new Int32Array(FIRST_RECORDS);
  private ends = new Float64Array(FIRST_RECORDS);

  set(id: OwnerToken, threadRoute: number, endOrdinal: number): void {
    const present = this.ids[id % this.ids.length] ?? 0;
    if (present !== 0 && present < id && this.ids.length < MAX_RECORDS) this.grow();
    const slot = id % this.ids.length;
    if ((this.ids[slot] ?? 0) > id) return; // A straggler: its place has gone to a later request.
    this.ids[slot] = id;
    this.routes[slot] = threadRoute;
    this.ends[slot] = endOrdinal;
  }

  /** Where a record lies, `NOT_TOLD` (its request still runs) or `FORGOTTEN`. */
  slotOf(id: OwnerToken): number {
    const slot = id % this.ids.length;
    const present = this.ids[slot] ?? 0;
    if (present === id) return slot;
    return present > id ? FORGOTTEN : NOT_TOLD;
  }

  threadRoute(slot: number): number {
    return this.routes[slot] ?? -1;
  }

  endOrdinal(slot: number): number {
    return this.ends[slot] ?? RECORD_OPEN;
  }

  private grow(): void {
    const { ids, routes, ends } = this;
    const length = ids.length * 2;
    this.ids = new Uint32Array(length);
    this.routes = new Int32Array(length);
    this.ends = new Float64Array(length);
    for (const [slot, id] of ids.entries()) if (id !== 0) this.set(id, routes[slot] ?? -1, ends[slot] ?? RECORD_OPEN);
  }
}

/** Packed rows of numbers, ascending in one column, appended at the end and dropped from the front. */
class Rows {
  private data = new Float64Array(0);
  private first = 0;
  private end = 0;

  constructor(private readonly words: number) {}

  /** @returns how many rows had to go to stay under `maximum`. @param sortedBy the column that must ascend. */
  append(rows: Float64Array, maximum: number, sortedBy: number): number {
    const count = Math.floor(rows.length / this.words);
    if (count === 0) return 0;
    this.reserve(count);
    const last = this.end > this.first ? this.at(this.end - this.first - 1, sortedBy) : Number.NEGATIVE_INFINITY;
    this.data.set(rows.subarray(0, count * this.words), this.end * this.words);
    this.end += count;
    if ((rows[sortedBy] ?? 0) < last) this.sort(sortedBy);
    const excess = Math.max(0, this.end - this.first - maximum);
    this.first += excess;
    return excess;
  }

  at(row: number, column: number): number {
    return this.data[(this.first + row) * this.words + column] ?? Number.NaN;
  }

  /** The last row whose column is <= value, or -1. */
  lastAtMost(column: number, value: number): number {
    return this.partition((row) => this.at(row, column) <= value) - 1;
  }

  /** The first row whose column is >= value, or -1. */
  firstAtLeast(column: number, value: number): number {
    const row = this.partition((candidate) => this.at(candidate, column) < value);
    return row === this.end - this.first ? -1 : row;
  }

  /** Drops rows from the front while their column is <= value. */
  dropWhile(column: number, value: number): void {
    this.first += this.partition((row) => this.at(row, column) <= value);
    if (this.first === this.end) {
      this.first = 0;
      this.end = 0;
      if (this.data.length > 65_536) this.data = new Float64Array(0);
    }
  }

  private partition(isBefore: (row: number) => boolean): number {
    let low = 0;
    let high = this.end - this.first;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private reserve(count: number): void {
    const live = this.end - this.first;
    if ((this.end + count) * this.words <= this.data.length) return;
    const larger = new Float64Array(Math.max(1_024, 2 * (live + count)) * this.words);
    larger.set(this.data.subarray(this.first * this.words, this.end * this.words));
    this.data = larger;
    this.first = 0;
    this.end = live;
  }

  private sort(column: number): void {
    const rows: Float64Array[] = [];
    for (let row = this.first; row < this.end; row++)
      rows.push(this.data.slice(row * this.words, (row + 1) * this.words));
    rows.sort((a, b) => (a[column] ?? 0) - (b[column] ?? 0));
    for (const [index, row] of rows.entries()) this.data.set(row, (this.first + index) * this.words);
  }
}
