/**
 * Runs on the agent's worker thread. Owns the way of the live heap to a backend: when a profile is made of it, and what
 * people are told of its delivery. Loaded only when profiles have an endpoint; must not load the SDK.
 */
import type { OtlpEndpoint, OtlpSettings, Settings } from "../config";
import { Delivery, type DeliveryListener } from "../export/delivery";
import type { AgentFolder } from "../export/folder";
import { describeEndpoint } from "../export/otlp-endpoint";
import { OtlpProfileBuilder, type OtlpResource } from "../export/otlp-profiles";
import { createSender } from "../export/otlp-sender";
import { Spool } from "../export/spool";
import { currentProcess } from "../export/spool-lives";
import type { LiveSamples } from "./live-samples";
import type { AgentLog } from "./log";
import { AGENT_VERSION } from "./version";

export interface ProfileExportOptions {
  readonly settings: OtlpSettings;
  readonly delivery: Pick<Delivery, "enqueue" | "flush" | "counts">;
  readonly spool: Pick<Spool, "droppedCount">;
  /** Known a moment after the start; never rejects. */
  readonly resource: Promise<OtlpResource>;
  readonly processStartMillis: number;
}

/** Opens the way, and sends what an earlier life of the service has left. */
export async function openProfileExport(
  settings: Settings,
  endpoint: OtlpEndpoint,
  folder: AgentFolder | null,
  log: AgentLog,
  resource: Promise<OtlpResource>,
  processStartMillis: number,
): Promise<ProfileExport> {
  const { otlp } = settings;
  const spool = new Spool({
    signal: "profiles",
    folder,
    limitBytes: otlp.spoolLimitBytes,
    maxAgeMillis: otlp.spoolMaxAgeMillis,
    identity: currentProcess(processStartMillis),
  });
  const sender = await createSender(endpoint, "profiles", AGENT_VERSION);
  const listener = tellProfiles(log, endpoint, () => spool.droppedCount);
  const delivery = new Delivery({ sender, spool, listener });
  delivery.start();
  return new ProfileExport({ settings: otlp, delivery, spool, resource, processStartMillis });
}

export class ProfileExport {
  private sentMillis: number | null = null;
  /** A capture that came before its time; the last one before the process leaves. */
  private unsent: { readonly lives: readonly LiveSamples[]; readonly captureMillis: number } | null = null;
  private resource: OtlpResource | null = null;
  private droppedSamples = 0;

  constructor(private readonly options: ProfileExportOptions) {
    options.resource.then(
      (resource) => {
        this.resource = resource;
      },
      () => {}, // By its contract it does not happen; nothing would be offered.
    );
  }

  /**
   * Called after each capture: a profile of older samples would claim a window that nobody looked at.
   * @param lives the live samples of every thread; the first is the one whose interval the profile states.
   * @param foundLeak a verdict became a leak just now: its evidence does not wait for the interval.
   */
  offer(lives: readonly LiveSamples[], nowMillis: number, foundLeak: boolean): void {
    const { exportIntervalMillis } = this.options.settings;
    const isDue = nowMillis - (this.sentMillis ?? Number.NEGATIVE_INFINITY) >= exportIntervalMillis;
    if (this.resource === null || (!foundLeak && !isDue)) this.unsent = { lives, captureMillis: nowMillis };
    else this.encode(lives, nowMillis, this.resource);
  }

  /** What has been lost so far, by reason. */
  drops(): Readonly<Record<string, number>> {
    const { delivery, spool } = this.options;
    return {
      profile_requests: spool.droppedCount,
      rejected_profiles: delivery.counts.rejectedItems,
      profile_samples: this.droppedSamples,
    };
  }

  /** The process leaves: sends the last state and what waits, when the backend takes it now. The caller bounds the time. */
  flush(): Promise<void> {
    const { unsent, resource } = this;
    if (unsent !== null && resource !== null) this.encode(unsent.lives, unsent.captureMillis, resource);
    return this.options.delivery.flush();
  }

  private encode(lives: readonly LiveSamples[], captureMillis: number, resource: OtlpResource): void {
    this.unsent = null;
    if (lives.every((life) => life.size === 0)) return;
    const { settings, delivery, processStartMillis } = this.options;
    const earliest = Math.max(processStartMillis, captureMillis - settings.exportIntervalMillis);
    const startMillis = Math.min(captureMillis, Math.max(this.sentMillis ?? 0, earliest));
    this.sentMillis = captureMillis;
    const builder = new OtlpProfileBuilder();
    for (const life of lives) {
      life.forEach((node, kind, route, size) => {
        builder.add(node, kind, route, size, life.intervalBytes, life.thread, "");
      });
    }
    const times = {
      startMillis,
      durationMillis: captureMillis - startMillis,
      intervalBytes: lives[0]?.intervalBytes ?? 1,
    };
    for (const request of builder.encodeRequests(resource, AGENT_VERSION, times)) delivery.enqueue(request);
    this.droppedSamples += builder.droppedSampleCount;
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  "HTTP 401": "check OTEL_EXPORTER_OTLP_HEADERS",
  "HTTP 403": "check OTEL_EXPORTER_OTLP_HEADERS",
  "HTTP 404":
    "it takes no profiles here; a Collector needs --feature-gates=service.profilesSupport and a profiles pipeline",
  "HTTP 415": "it takes no binary protobuf here",
  "gRPC UNAUTHENTICATED": "check OTEL_EXPORTER_OTLP_HEADERS",
  "gRPC PERMISSION_DENIED": "check OTEL_EXPORTER_OTLP_HEADERS",
  "gRPC UNIMPLEMENTED":
    "it takes no profiles; a Collector needs --feature-gates=service.profilesSupport and a profiles pipeline",
};

/** The lines about the delivery of profiles: no header, no key, nothing that a backend has not been cleaned of. */
export function tellProfiles(
  log: Pick<AgentLog, "info" | "warn" | "warnOnce">,
  endpoint: OtlpEndpoint,
  droppedCount: () => number,
): DeliveryListener {
  const where = describeEndpoint(endpoint);
  const code = "ERR_LEAK_AGENT_EXPORT";
  return {
    waiting: (reason) => log.warn(code, `profiles wait in the spool: ${where} does not take them: ${reason}`),
    recovered: () => log.info(`${where} takes profiles again; ${droppedCount()} were dropped so far`),
    rejected: (status, reason) => {
      const advice = ADVICE[status];
      const fix = advice === undefined ? "" : ` (${advice}; or set OTEL_PROFILES_EXPORTER=none)`;
      log.warnOnce(`profiles ${status}`, code, `${where} rejects profiles: ${reason}${fix}; told once`);
    },
    partlyRejected: (count, reason) =>
      log.warnOnce("profiles partial", code, `${where} left out ${count} profiles: ${reason}; told once`),
    warned: (warning) =>
      log.warnOnce("profiles warning", code, `${where} took profiles and said: ${warning}; told once`),
  };
}
