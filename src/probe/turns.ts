/**
 * Runs on the service's main thread and its worker threads. Owns when the probe has its turn: by a timer, and, in threads
 * that go from task to task without their event loop ever coming to its timers, right before they sleep.
 */
import { monotonicMillis } from "./late-modules";
import { runInContext } from "./request-context";

/** No request's, whatever runs where a thread goes to sleep. */
const NOBODY = undefined as never;

export class Turns {
  #timer: NodeJS.Timeout | undefined;
  #periodMillis = Number.POSITIVE_INFINITY;
  #lastMillis = 0;
  #turn: () => void = () => {};

  /** Replaces what had its turns before. @param turn must not throw. */
  every(periodMillis: number, turn: () => void): void {
    clearInterval(this.#timer);
    this.#periodMillis = periodMillis;
    this.#turn = turn;
    this.#lastMillis = monotonicMillis();
    this.#timer = setInterval(() => this.#take(), periodMillis).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#periodMillis = Number.POSITIVE_INFINITY;
  }

  /** The thread is about to sleep outside of its event loop. */
  beforeSleep(nowMillis: number): void {
    if (nowMillis - this.#lastMillis >= this.#periodMillis) runInContext(NOBODY, () => this.#take(), undefined);
  }

  #take(): void {
    this.#lastMillis = monotonicMillis();
    this.#turn();
  }
}
