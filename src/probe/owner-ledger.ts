/**
 * Runs on the service's main thread and its worker threads. Owns which request each sample ordinal belongs to, until the
 * next report takes it away. Must not keep a record: it writes down the record's numbers and lets it go.
 */
import type { OwnerToken } from "../model/owner";
import { type RequestRecord, STILL_OPEN, TaskRecord } from "./request-context";
import { ROW_BYTES, RowQueue } from "./row-queue";

/** Room for half a minute at 500 samples a second; 393 KB. */
const MAX_RANGES = 16_384;
const MAX_RECORDS = 16_384;
/** Tasks of other threads' requests that own a sample and still run; of more the owner stays unknown. */
const MAX_OPEN_TASKS = 4_096;
export const OWNER_LEDGER_BYTES: number = (MAX_RANGES + MAX_RECORDS) * ROW_BYTES;

export class OwnerLedger {
  readonly #ranges = new RowQueue(MAX_RANGES);
  readonly #records = new RowQueue(MAX_RECORDS);
  #lastRecordId = 0;
  #epoch = 0;
  /** Tasks that own a sample here and whose request, in another thread, still runs. */
  openTasks: TaskRecord[] = [];

  /** Ordinals `first..last` (inclusive) belong to `token`; must be called in ascending order. */
  own(first: number, last: number, token: OwnerToken): void {
    this.#ranges.pushRange(first, last, token);
  }

  /** The token of a record; only records that own a sample ever get one, and are told to the worker. */
  tokenFor(record: RequestRecord): OwnerToken {
    const isNew = record.recordId === 0;
    if (isNew) {
      record.recordId = ++this.#lastRecordId;
      if (record instanceof TaskRecord && this.openTasks.length < MAX_OPEN_TASKS) this.openTasks.push(record);
    }
    if (record.endOrdinal === STILL_OPEN) return record.recordId;
    // A request that ended in an earlier life of the sampler: every ordinal of this life comes after its end.
    const isOld = record.endEpoch !== this.#epoch;
    if (isOld) {
      record.endOrdinal = 0;
      record.endEpoch = this.#epoch;
    }
    if (isNew || isOld) this.#tell(record);
    return record.recordId;
  }

  /** The request is over: what it allocates after `ordinal` is background work. */
  end(record: RequestRecord, ordinal: number): void {
    record.endOrdinal = ordinal;
    record.endEpoch = this.#epoch;
    if (record.recordId !== 0) this.#tell(record);
  }

  /** A new life of the sampler begins: the old ordinals mean nothing any more. */
  restart(): void {
    this.#epoch++;
    this.#ranges.take();
  }

  get epoch(): number {
    return this.#epoch;
  }

  get isFilling(): boolean {
    return this.#ranges.isFilling || this.#records.isFilling;
  }

  takeRanges(): Float64Array {
    return this.#ranges.take();
  }

  takeRecords(): Float64Array {
    return this.#records.take();
  }

  get droppedRangeCount(): number {
    return this.#ranges.droppedCount;
  }

  get droppedRecordCount(): number {
    return this.#records.droppedCount;
  }

  #tell(record: RequestRecord): void {
    this.#records.push(record.recordId, record.routeIndex, record.endOrdinal);
  }
}
