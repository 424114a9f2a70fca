/**
 * Runs on the agent's worker thread. Owns when a profile is made of the live heap for the backend. Loaded only when
 * profiles have an endpoint; must not load the SDK.
 */
import type { OtlpSettings } from "../config";
import { OtlpProfileBuilder, type OtlpResource } from "../export/otlp-profiles";
import type { LiveSamples } from "./live-samples";
import type { SignalDelivery } from "./signal-delivery";
import { AGENT_VERSION } from "./version";

export interface ProfileExportOptions {
  readonly settings: OtlpSettings;
  readonly delivery: Pick<SignalDelivery, "enqueue" | "flush" | "drops">;
  /** Known a moment after the start; never rejects. */
  readonly resource: Promise<OtlpResource>;
  readonly processStartMillis: number;
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
    return { ...this.options.delivery.drops(), profiles_samples: this.droppedSamples };
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
        builder.add(node, kind, route, size, life.intervalBytes, life.thread, life.threadName);
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
