/**
 * Runs on the agent's worker thread. Owns what an SDK exporter does not: counts of what was sent and lost, the backend's
 * last answer, and for the few findings a second chance. The exporter itself retries within its timeout.
 */
import type { Exporter, ExportResult } from "./sdk-modules";

/** Error codes above this are HTTP's, below gRPC's. */
const FIRST_HTTP_STATUS = 100;
const RETRYABLE_HTTP: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS. */
const RETRYABLE_GRPC: ReadonlySet<number> = new Set([1, 4, 8, 10, 11, 14, 15]);

export interface ExportCounts {
  sent: number;
  lost: number;
}

export type Tell = (problem: string | null) => void;

/** Counts the items of each export; `sizeOf` says how many an export carries. */
export class CountingExporter<T> implements Exporter<T> {
  readonly counts: ExportCounts = { sent: 0, lost: 0 };

  /** @param tell hears of the first failure, and `null` when it works again. */
  constructor(
    protected readonly inner: Exporter<T>,
    private readonly sizeOf: (items: T) => number,
    private readonly tell: Tell,
  ) {}

  export(items: T, done: (result: ExportResult) => void): void {
    const finish = once((result: ExportResult) => {
      this.finished(items, result);
      done(result);
    });
    try {
      this.inner.export(items, finish);
    } catch (error) {
      finish({ code: 1, error: error as Error });
    }
  }

  forceFlush(): Promise<void> {
    return this.inner.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.inner.shutdown();
  }

  protected finished(items: T, result: ExportResult): void {
    if (result.code === 0) this.counts.sent += this.sizeOf(items);
    else this.lose(items);
    this.tell(result.code === 0 ? null : describeFailure(result.error));
  }

  protected lose(items: T): void {
    this.counts.lost += this.sizeOf(items);
  }
}

/** Findings that wait for a backend that is away; the oldest goes first when there are more. */
const MAX_WAITING = 500;

/**
 * Keeps records that the backend may take later, and sends them with the next export. Without one, `retry` sends them.
 * They live in memory: what the process does not get rid of before its end stands in findings.jsonl only, counted as lost.
 */
export class PatientLogExporter extends CountingExporter<readonly unknown[]> {
  private waiting: unknown[] = [];

  constructor(inner: Exporter<readonly unknown[]>, tell: Tell) {
    super(inner, (records) => records.length, tell);
  }

  get waitingCount(): number {
    return this.waiting.length;
  }

  override export(records: readonly unknown[], done: (result: ExportResult) => void): void {
    const all = [...this.waiting, ...records];
    this.waiting = [];
    super.export(all, done);
  }

  /** Sends what waits, if anything does. */
  retry(): Promise<void> {
    if (this.waiting.length === 0) return Promise.resolve();
    return new Promise((done) => this.export([], () => done()));
  }

  protected override lose(records: readonly unknown[]): void {
    this.counts.lost += records.length;
  }

  protected override finished(records: readonly unknown[], result: ExportResult): void {
    const mayWait = result.code !== 0 && isRetryable(result.error);
    if (!mayWait) {
      super.finished(records, result);
      return;
    }
    this.waiting = [...records, ...this.waiting];
    const excess = Math.max(0, this.waiting.length - MAX_WAITING);
    this.lose(this.waiting.splice(0, excess));
    super.finished([], result);
  }
}

/** Anything without a status never reached a backend that refused it. */
function isRetryable(error: ExportResult["error"]): boolean {
  const status = Number(error?.code ?? Number.NaN);
  if (!Number.isInteger(status)) return true;
  return status >= FIRST_HTTP_STATUS ? RETRYABLE_HTTP.has(status) : RETRYABLE_GRPC.has(status);
}

/** One line; the caller takes the secrets out. */
export function describeFailure(error: ExportResult["error"]): string {
  if (error === undefined) return "it does not say why";
  const { code } = error as { code?: number | string };
  const causes = error instanceof AggregateError ? error.errors.map((cause) => (cause as Error).message) : [];
  const text = error.message === "" ? causes.join(", ") : error.message;
  const short = text
    .replace(/\/\/[^/@\s]*@/g, "//")
    .replace(/\s+/g, " ")
    .slice(0, 200);
  return code === undefined ? short : `${short === "" ? "error" : short} (${code})`;
}

function once(callback: (result: ExportResult) => void): (result: ExportResult) => void {
  let isCalled = false;
  return (result) => {
    if (isCalled) return;
    isCalled = true;
    callback(result);
  };
}
