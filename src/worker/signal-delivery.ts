/**
 * Runs on the agent's worker thread. Owns the way of one signal to its backend, the same for profiles, metrics and logs:
 * spool, sender, retries, the lines about it, and the counts of what was lost. Must not load the SDK.
 */
import { describeEndpoint, type OtlpEndpoint, type OtlpSettings, type OtlpSignal, spoolShareBytes } from "../config";
import { adviceFor } from "../export/advice";
import { Delivery, type DeliveryListener } from "../export/delivery";
import { createSender } from "../export/otlp-sender";
import { Spool, type SpoolFolder } from "../export/spool";
import { currentProcess } from "../export/spool-lives";
import type { AgentLog } from "./log";
import { AGENT_VERSION } from "./version";

export interface SignalDelivery {
  /** @param request an `Export<Signal>ServiceRequest`, not compressed. It is in the spool when this returns. */
  enqueue(request: Uint8Array): void;
  /** Ends when nothing waits, or when the backend does not take it now. Never rejects. */
  flush(): Promise<void>;
  close(): void;
  /** What has been lost so far: `<signal>_<why>` -> count. */
  drops(): Readonly<Record<string, number>>;
}

export interface DeliveryPlace {
  readonly settings: OtlpSettings;
  readonly folder: SpoolFolder | null;
  readonly log: Pick<AgentLog, "info" | "warn" | "warnOnce">;
  readonly processStartMillis: number;
}

/**
 * Opens the way, and sends what an earlier life of the service has left.
 * @param isNewestOnly a new body replaces the one that waits.
 */
export async function openDelivery(
  signal: OtlpSignal,
  endpoint: OtlpEndpoint,
  { settings, folder, log, processStartMillis }: DeliveryPlace,
  isNewestOnly = false,
): Promise<SignalDelivery> {
  const spool = new Spool({
    signal,
    folder,
    limitBytes: spoolShareBytes(settings, signal),
    maxAgeMillis: settings.spoolMaxAgeMillis,
    isNewestOnly,
    identity: currentProcess(processStartMillis),
  });
  const sender = await createSender(endpoint, signal, AGENT_VERSION);
  const delivery = new Delivery({
    sender,
    spool,
    listener: tellDelivery(signal, log, endpoint, () => spool.droppedCount),
  });
  delivery.start();
  return {
    enqueue: (request) => delivery.enqueue(request),
    flush: () => delivery.flush(),
    close: () => delivery.close(),
    drops: () => dropsOfSignal(signal, spool.counts, delivery.counts),
  };
}

/** One name per signal and reason; `left_out` counts profiles, data points or log records, the others requests. */
export function dropsOfSignal(
  signal: OtlpSignal,
  spool: Spool["counts"],
  delivery: Pick<Delivery["counts"], "rejectedItems">,
): Readonly<Record<string, number>> {
  return {
    [`${signal}_spool_full`]: spool.droppedForSpace,
    [`${signal}_too_old`]: spool.droppedForAge,
    [`${signal}_refused`]: spool.droppedByBackend,
    [`${signal}_damaged`]: spool.droppedDamaged,
    [`${signal}_earlier_life`]: spool.inheritedDrops,
    [`${signal}_left_out`]: delivery.rejectedItems,
    ...(signal === "metrics" ? { metrics_replaced: spool.replaced } : {}),
  };
}

/** The lines about one signal: no header, no key, nothing that a backend has not been cleaned of. */
export function tellDelivery(
  signal: OtlpSignal,
  log: Pick<AgentLog, "info" | "warn" | "warnOnce">,
  endpoint: OtlpEndpoint,
  droppedCount: () => number,
): DeliveryListener {
  const where = describeEndpoint(endpoint);
  const code = "ERR_LEAK_AGENT_EXPORT";
  const fields = { signal };
  const fixOf = (status: string): string => {
    const advice = adviceFor(signal, status, endpoint);
    return advice === null ? "" : ` (${advice})`;
  };
  return {
    waiting: (reason, status) =>
      log.warn(code, `${signal} wait in the spool: ${where} does not take them: ${reason}${fixOf(status)}`, fields),
    recovered: () => log.info(`${where} takes ${signal} again; ${droppedCount()} were dropped so far`, fields),
    rejected: (status, reason) =>
      log.warnOnce(
        `${signal} ${status}`,
        code,
        `${where} rejects ${signal}: ${reason}${fixOf(status)}; told once`,
        fields,
      ),
    partlyRejected: (count, reason) =>
      log.warnOnce(
        `${signal} partial`,
        code,
        `${where} left out ${count} ${ITEMS[signal]}: ${reason}; told once`,
        fields,
      ),
    warned: (warning) =>
      log.warnOnce(`${signal} warning`, code, `${where} took ${signal} and said: ${warning}; told once`, fields),
  };
}

const ITEMS: Readonly<Record<OtlpSignal, string>> = {
  profiles: "profiles",
  metrics: "data points",
  logs: "log records",
};
