/**
 * Runs on the agent's worker thread. Owns the place where the SDK hands over what it has: encoded by the SDK, then in the
 * spool at once. The SDK never waits for a backend, so neither an outage nor an exit can hold it.
 */
import type { Exporter, ExportResult, Serializer } from "./sdk-modules";
import type { SignalDelivery } from "./signal-delivery";

export class SpooledExporter<T> implements Exporter<T> {
  /** Exports that could not be encoded. */
  failedCount = 0;

  /** @param tell hears why an export could not be encoded. */
  constructor(
    private readonly serializer: Serializer<T>,
    private readonly delivery: Pick<SignalDelivery, "enqueue">,
    private readonly tell: (error: unknown) => void,
  ) {}

  export(items: T, done: (result: ExportResult) => void): void {
    try {
      const request = this.serializer.serializeRequest(items);
      if (request === undefined) throw new Error("the SDK's encoder gave nothing");
      this.delivery.enqueue(request);
      done({ code: 0 });
    } catch (error) {
      this.failedCount++;
      this.tell(error);
      done({ code: 1, error: error as Error });
    }
  }

  /** It is in the spool already; `SignalDelivery.flush` is for the backend. */
  async forceFlush(): Promise<void> {}

  async shutdown(): Promise<void> {}
}
