/**
 * Runs on the service's main thread and its worker threads. Owns a bounded queue of number triples, laid out as
 * model/messages.ts packs them. Must not allocate between two `take`s.
 */

const WORDS = 3;
export const ROW_BYTES: number = WORDS * Float64Array.BYTES_PER_ELEMENT;

export class RowQueue {
  readonly #rows: Float64Array;
  #length = 0;
  /** Rows refused because the queue was full. */
  droppedCount = 0;

  constructor(capacityRows: number) {
    this.#rows = new Float64Array(capacityRows * WORDS);
  }

  push(a: number, b: number, c: number): void {
    const at = this.#length;
    if (at === this.#rows.length) {
      this.droppedCount++;
      return;
    }
    this.#rows[at] = a;
    this.#rows[at + 1] = b;
    this.#rows[at + 2] = c;
    this.#length = at + WORDS;
  }

  /** Adds an ordinal range; joins it to the last one when that has the same owner and ends right before it. */
  pushRange(first: number, last: number, token: number): void {
    const at = this.#length - WORDS;
    if (at >= 0 && this.#rows[at + 2] === token && this.#rows[at + 1] === first - 1) this.#rows[at + 1] = last;
    else this.push(first, last, token);
  }

  /** True from three quarters on: time to send what is here. */
  get isFilling(): boolean {
    return this.#length * 4 >= this.#rows.length * 3;
  }

  /** Copies the rows out and empties the queue. */
  take(): Float64Array {
    const rows = this.#rows.slice(0, this.#length);
    this.#length = 0;
    return rows;
  }
}
