/**
 * Runs on the agent's worker thread. Owns the way of bodies from the spool to one backend: one at a time, oldest first,
 * with the pauses that the backend and the specification ask for. Never throws, never waits in memory: what is not taken
 * stays in the spool. Every body ends in exactly one count.
 */
import { gzip } from "./compress";
import type { OtlpSender } from "./otlp-transport";
import { Backoff, type ExportOutcome, type RetryableOutcome, unreachable } from "./retry";
import type { Spool } from "./spool";

/** Others must see that this life goes on; what dead lives left is looked for as often. */
const MAINTAIN_MILLIS = 30_000;
/** Between two lines about one outage, or one that comes and goes. */
const TELL_MILLIS = 600_000;

export interface DeliveryCounts {
  /** Bodies the backend took, those with a partial success included. */
  exported: number;
  /** Bodies the backend refused for good; the spool counts them as dropped, beyond this life. */
  rejected: number;
  /** Profiles, data points or log records that the backend left out of bodies it took. */
  rejectedItems: number;
  /** Attempts that are to be repeated. */
  failedAttempts: number;
}

/** What people should know. Each call is one line in the log. */
export interface DeliveryListener {
  /** The first failure, or the first in a long time. @param reason without secrets. @param code of the outcome. */
  waiting(reason: string, code: string): void;
  /** After `waiting`: a body was taken. */
  recovered(): void;
  rejected(code: string, reason: string): void;
  partlyRejected(count: number, reason: string): void;
  warned(warning: string): void;
}

export interface DeliveryOptions {
  readonly sender: OtlpSender;
  readonly spool: Spool;
  readonly listener: DeliveryListener;
  readonly now?: () => number;
  readonly random?: () => number;
  /** Calls back once, later; must not keep the process alive. */
  readonly schedule?: (work: () => void, millis: number) => void;
}

export class Delivery {
  readonly counts: DeliveryCounts = { exported: 0, rejected: 0, rejectedItems: 0, failedAttempts: 0 };
  private readonly backoff: Backoff;
  private readonly now: () => number;
  private readonly schedule: (work: () => void, millis: number) => void;
  private notBeforeMillis = Number.NEGATIVE_INFINITY;
  private toldMillis = Number.NEGATIVE_INFINITY;
  private hasToldOutage = false;
  private running: Promise<void> | null = null;
  private isAskedAgain = false;
  private isClosed = false;

  constructor(private readonly options: DeliveryOptions) {
    this.now = options.now ?? Date.now;
    this.schedule = options.schedule ?? scheduleUnreferenced;
    this.backoff = new Backoff(options.random);
  }

  /** Bodies that wait, the one on its way included. */
  get waitingCount(): number {
    return this.options.spool.waitingCount;
  }

  /** Takes over what an earlier life left, and sends it. */
  start(): void {
    if (this.isClosed) return;
    this.options.spool.maintain();
    this.send();
    this.schedule(() => this.start(), MAINTAIN_MILLIS);
  }

  /** @param request an `Export<Signal>ServiceRequest`, not compressed. It is in the spool when this returns. */
  enqueue(request: Uint8Array): void {
    this.options.spool.put(gzip(request));
    this.send();
  }

  /** For the end of the process. Ends when nothing waits, or when the backend does not take it now. The caller bounds the time. */
  async flush(): Promise<void> {
    this.options.spool.saveAtExit();
    this.send();
    while (this.running !== null) await this.running;
  }

  close(): void {
    this.isClosed = true;
    this.options.sender.close();
  }

  private send(): void {
    if (this.isClosed || this.now() < this.notBeforeMillis) return;
    // A drain that has just found the spool empty does not see what came after it.
    this.isAskedAgain = this.running !== null;
    if (this.running !== null) return;
    this.running = this.drain()
      .catch((error: unknown) => this.pause(unreachable("internal", `a bug of the agent: ${String(error)}`)))
      .finally(() => {
        this.running = null;
        if (this.isAskedAgain) this.send();
      });
  }

  private async drain(): Promise<void> {
    while (!this.isClosed) {
      const taken = this.options.spool.take();
      if (taken === null) return;
      const outcome = await this.options.sender.send(taken.body);
      if (outcome.kind === "retryable") {
        this.options.spool.putBack(taken);
        this.pause(outcome);
        return;
      }
      this.options.spool.remove(taken, outcome.kind === "rejected");
      this.settle(outcome);
    }
  }

  private pause(outcome: RetryableOutcome): void {
    this.counts.failedAttempts++;
    const pauseMillis = this.backoff.next(outcome.retryAfterMillis);
    this.notBeforeMillis = this.now() + pauseMillis;
    if (!this.hasToldOutage && this.now() - this.toldMillis >= TELL_MILLIS) {
      this.hasToldOutage = true;
      this.toldMillis = this.now();
      this.options.listener.waiting(outcome.reason, outcome.code);
    }
    this.schedule(() => this.send(), Math.ceil(pauseMillis) + 1); // A timer may come a little early.
  }

  private settle(outcome: Exclude<ExportOutcome, RetryableOutcome>): void {
    const { listener } = this.options;
    this.backoff.reset();
    if (outcome.kind === "rejected") {
      this.counts.rejected++;
      listener.rejected(outcome.code, outcome.reason);
      return;
    }
    this.counts.exported++;
    if (this.hasToldOutage) {
      this.hasToldOutage = false;
      listener.recovered();
    }
    if (outcome.kind === "partial") {
      this.counts.rejectedItems += outcome.rejectedCount;
      listener.partlyRejected(outcome.rejectedCount, outcome.reason);
    } else if (outcome.warning !== "") listener.warned(outcome.warning);
  }
}

function scheduleUnreferenced(work: () => void, millis: number): void {
  setTimeout(work, millis).unref();
}
