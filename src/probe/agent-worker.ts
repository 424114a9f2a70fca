/**
 * Runs on the service's main thread (the agent's worker itself), or on one of the service's worker threads (the way to
 * it). Owns the way reports leave the thread. Must not keep the process alive, throw into it, or queue without a bound.
 */
import { join } from "node:path";
import { BroadcastChannel, type MessagePort, Worker } from "node:worker_threads";
import { workerEnvironment } from "../config";
import type { ProbeMessage, ProbeReport, WorkerRequest, WorkerStart } from "../model/messages";
import {
  EXIT_COMPRESSING,
  EXIT_LEAVING,
  EXIT_SENT,
  EXIT_WORDS,
  PROBE_CHANNEL,
  REQUEST_CHANNEL,
  WORD_LISTENING,
} from "../model/messages";
import type { SharedWords } from "./shared-words";

const FIRST_RESTART_MILLIS = 1_000;
const LAST_RESTART_MILLIS = 60_000;
/** A worker that lived this long starts again without a penalty for earlier deaths. */
const HEALTHY_MILLIS = 300_000;
/** Deaths in a row before a first report was handled, until no further one is started: about three minutes. */
const MAX_STILLBIRTHS = 8;
const MAX_WORKER_HEAP_MB = 256;
/** Measured: 2 instead of 16 takes 10-18 MB off the worker's heap at no more CPU (Node 24, 2,000-20,000 live samples). */
const MAX_WORKER_YOUNG_MB = 2;
/** Reports of the main thread that may wait in the worker's queue. */
const MAX_REPORTS_WAITING = 8;
/** Reports of all other threads together: half a megabyte each for a large service. */
const MAX_REMOTE_REPORTS_WAITING = 32;
/** Few come in a whole life. */
const MAX_REQUESTS_AT_ONCE = 16;
/** Longer than a profile takes to compress: docs/decisions/0020. */
const MAX_COMPRESSION_WAIT_MILLIS = 50;

export interface ReportSink {
  /** False while reports cannot be taken: keep collecting, capture nothing. */
  readonly isReady: boolean;
  post(message: ProbeMessage): void;
  /** Takes what the worker has asked for, where the event loop may never come to it. */
  listen(): void;
  /** The process leaves: blocks until the last export is out, and no longer than this; 0 waits for no export. */
  leave(exportLimitMillis: number): void;
  close(): void;
}

export interface SinkListener {
  /** The worker runs, for the first time or again; it knows nothing of this thread. */
  started(restartCount: number): void;
  requested(request: WorkerRequest): void;
  died(reason: string): void;
  /** No worker can be started here, and none will be. */
  gaveUp(reason: string): void;
}

/** Every buffer of a report that can change hands without a copy. */
function buffersOf(report: ProbeReport): ArrayBuffer[] {
  const buffers = [report.ledger, report.records, report.windows, report.requests].map(
    (rows) => rows.buffer as ArrayBuffer,
  );
  return report.capture === null ? buffers : [...buffers, report.capture];
}

export class AgentWorker implements ReportSink {
  #worker: Worker | null = null;
  #waitingCount = 0;
  #restartCount = 0;
  #stillbirths = 0;
  #backoffMillis = FIRST_RESTART_MILLIS;
  #isClosed = false;
  readonly #exitWords = new Int32Array(new SharedArrayBuffer(EXIT_WORDS * Int32Array.BYTES_PER_ELEMENT));
  /** The agent's own threads, as `process.on("worker")` also tells of them. */
  static readonly ownWorkers: WeakSet<object> = new WeakSet();

  constructor(
    private readonly start: Omit<WorkerStart, "restartCount" | "exitWords">,
    private readonly listener: SinkListener,
  ) {
    this.#spawn();
  }

  get isReady(): boolean {
    return this.#worker !== null && this.#waitingCount < MAX_REPORTS_WAITING;
  }

  post(message: ProbeMessage): void {
    const worker = this.#worker;
    if (worker === null) return;
    if (message.type === "report") this.#waitingCount++;
    worker.postMessage(message, message.type === "report" ? buffersOf(message) : []);
  }

  /** The main thread's event loop turns. */
  listen(): void {}

  leave(exportLimitMillis: number): void {
    const worker = this.#worker;
    if (worker === null) return;
    if (exportLimitMillis > 0) {
      worker.postMessage({ type: "exit" });
      Atomics.wait(this.#exitWords, EXIT_SENT, 0, exportLimitMillis);
    }
    this.#keepOutOfZlib();
  }

  close(): void {
    this.#isClosed = true;
    this.#keepOutOfZlib();
    this.#worker?.terminate().catch(() => {}); // It is gone already, which is what was asked for.
  }

  /** Node aborts the process where a thread is ended while it makes a zlib stream: from here on it makes none. */
  #keepOutOfZlib(): void {
    Atomics.store(this.#exitWords, EXIT_LEAVING, 1);
    Atomics.wait(this.#exitWords, EXIT_COMPRESSING, 1, MAX_COMPRESSION_WAIT_MILLIS);
  }

  #spawn(): void {
    // A worker that died while it compressed has left its mark.
    Atomics.store(this.#exitWords, EXIT_COMPRESSING, 0);
    const startedMillis = Date.now();
    try {
      const workerData: WorkerStart = {
        ...this.start,
        restartCount: this.#restartCount,
        exitWords: this.#exitWords.buffer as SharedArrayBuffer,
      };
      const worker = new Worker(join(__dirname, "..", "worker", "main.js"), {
        workerData,
        name: "leak-agent",
        execArgv: [],
        env: workerEnvironment(),
        stdin: false,
        stdout: false,
        stderr: false,
        resourceLimits: { maxOldGenerationSizeMb: MAX_WORKER_HEAP_MB, maxYoungGenerationSizeMb: MAX_WORKER_YOUNG_MB },
      });
      AgentWorker.ownWorkers.add(worker);
      this.#waitingCount = 0;
      let reason = "it ended";
      worker.on("error", (error) => {
        reason = error instanceof Error ? error.message : String(error);
      });
      worker.on("exit", () => this.#exited(reason, startedMillis));
      worker.on("message", (request: WorkerRequest) => this.#received(request));
      worker.unref();
      this.#worker = worker;
    } catch (error) {
      this.#exited(error instanceof Error ? error.message : String(error), startedMillis);
      return;
    }
    this.listener.started(this.#restartCount);
  }

  #received(request: WorkerRequest): void {
    if (request.type === "ready") {
      this.#waitingCount = Math.max(0, this.#waitingCount - 1);
      this.#stillbirths = 0;
    }
    this.listener.requested(request);
  }

  #exited(reason: string, startedMillis: number): void {
    this.#worker = null;
    if (this.start.words !== undefined) Atomics.store(new Int32Array(this.start.words), WORD_LISTENING, 0);
    if (this.#isClosed) return;
    if (++this.#stillbirths >= MAX_STILLBIRTHS) {
      this.#isClosed = true;
      this.listener.gaveUp(reason);
      return;
    }
    this.listener.died(reason);
    if (Date.now() - startedMillis > HEALTHY_MILLIS) this.#backoffMillis = FIRST_RESTART_MILLIS;
    this.#restartCount++;
    setTimeout(() => {
      if (!this.#isClosed) this.#spawn();
    }, this.#backoffMillis).unref();
    this.#backoffMillis = Math.min(LAST_RESTART_MILLIS, this.#backoffMillis * 2);
  }
}

/** From one of the service's worker threads to the agent's worker, which belongs to the main thread. */
export class RemoteWorker implements ReportSink {
  readonly #requests = new BroadcastChannel(REQUEST_CHANNEL);

  constructor(
    private readonly listener: SinkListener,
    private readonly words: SharedWords,
  ) {
    this.#requests.onmessage = (event: unknown) => this.#received((event as { data: WorkerRequest }).data);
    (this.#requests as unknown as { unref(): void }).unref();
    listener.started(0);
  }

  /** A channel has no queue length: what is on its way is counted by sender and receiver. */
  get isReady(): boolean {
    return this.words.isHeard && this.words.waitingReports < MAX_REMOTE_REPORTS_WAITING;
  }

  /** Opened for one message only: whoever has this channel open gets a clone of every thread's reports. */
  post(message: ProbeMessage): void {
    const channel = new BroadcastChannel(PROBE_CHANNEL);
    channel.postMessage(message);
    channel.close();
    // Counted afterwards: a thread that is terminated in between leaves one report too few, never one too many for good.
    if (message.type === "report") this.words.reportSent();
  }

  listen(): void {
    // Looked up like this, the bundler leaves the name to the function that stands in for it (thread-messages.ts).
    const threads = require("node:worker_threads") as typeof import("node:worker_threads");
    for (let i = 0; i < MAX_REQUESTS_AT_ONCE; i++) {
      const received = threads.receiveMessageOnPort(this.#requests as unknown as MessagePort);
      if (received === undefined) return;
      this.#received(received.message as WorkerRequest);
    }
  }

  #received(request: WorkerRequest): void {
    if (request.type === "ready") this.listener.started(1);
    else this.listener.requested(request);
  }

  /** The main thread's matter. */
  leave(): void {}

  close(): void {
    this.#requests.close();
  }
}
