/**
 * Runs on the service's main thread and its worker threads. Owns the few numbers that all probes of the process and the
 * agent's worker share, without a message: a hanging worker answers none.
 */
import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads";
import { SHARED_WORDS, WORD_LISTENING, WORD_WAITING_REPORTS } from "../model/messages";

/** Environment data that the service's worker threads inherit. */
const KEY = "leak-agent.words";
/** Indexes of the 32-bit words; those that the agent's worker writes are in model/messages.ts. */
const WORD_AWAKE = 0;
const WORD_SPACING = 2;
const WORD_OFF = 3;
const WORD_GIVEN_UP = 4;

export class SharedWords {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** The process's words; on a worker thread that did not inherit them, words of its own. */
  static ofProcess(): SharedWords {
    const inherited = isMainThread ? undefined : getEnvironmentData(KEY);
    if (inherited instanceof SharedArrayBuffer) return new SharedWords(inherited);
    const buffer = new SharedArrayBuffer(SHARED_WORDS * Int32Array.BYTES_PER_ELEMENT);
    if (isMainThread) setEnvironmentData(KEY, buffer);
    return new SharedWords(buffer);
  }

  /** Whether the main thread's probe has found the process to be a service. */
  get isAwake(): boolean {
    return Atomics.load(this.#words, WORD_AWAKE) === 1;
  }

  /** Whether no worker of the agent can be started in this process, and none will be. */
  get isGivenUp(): boolean {
    return Atomics.load(this.#words, WORD_GIVEN_UP) === 1;
  }

  giveUp(): void {
    Atomics.store(this.#words, WORD_GIVEN_UP, 1);
  }

  awake(): void {
    Atomics.store(this.#words, WORD_AWAKE, 1);
  }

  /** Whether the agent's worker hears what the service's worker threads send. */
  get isHeard(): boolean {
    return Atomics.load(this.#words, WORD_LISTENING) === 1;
  }

  /** Reports of the service's worker threads that the agent's worker has not handled yet. */
  get waitingReports(): number {
    return Atomics.load(this.#words, WORD_WAITING_REPORTS);
  }

  reportSent(): void {
    Atomics.add(this.#words, WORD_WAITING_REPORTS, 1);
  }

  /** How much more rarely all threads capture, since their captures share the agent's worker; at least 1. */
  get spacingFactor(): number {
    return Math.max(1, Atomics.load(this.#words, WORD_SPACING));
  }

  set spacingFactor(factor: number) {
    Atomics.store(this.#words, WORD_SPACING, Math.ceil(factor));
  }

  /** Whether the main thread's breaker is open for a reason that all threads have a part in. */
  get areCapturesOff(): boolean {
    return Atomics.load(this.#words, WORD_OFF) === 1;
  }

  set areCapturesOff(areOff: boolean) {
    Atomics.store(this.#words, WORD_OFF, areOff ? 1 : 0);
  }
}
