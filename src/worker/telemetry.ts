/**
 * Runs on the agent's worker thread. Owns metrics and log events: the SDK's life, what it is fed, and what was lost. Loads
 * nothing before the first report, and nothing at all without an endpoint; registers no global of OpenTelemetry's API.
 */
import type { OtlpEndpoint, Settings } from "../config";
import type { Detector } from "../detector/detector";
import type { DescribedFrame } from "../detector/finding-record";
import type { SpoolFolder } from "../export/spool";
import type { Finding } from "../model/finding";
import type { ProbeReport } from "../model/messages";
import type { Frame } from "../model/observation";
import type { AgentCosts } from "./agent-cost";
import { AgentTotals, WORKER_THREAD } from "./agent-totals";
import { findingEvent } from "./finding-event";
import { LeakMetrics } from "./leak-metrics";
import type { AgentLog } from "./log";
import { type MetricBatch, MetricEncoder } from "./metric-batch";
import type { ResourceAttributes } from "./resource";
import {
  type Flushable,
  type Logger,
  type LogRecord,
  type MetricProducer,
  type SdkMetric,
  SdkModules,
  type SdkResource,
  type Serializer,
} from "./sdk-modules";
import { openDelivery, type SignalDelivery } from "./signal-delivery";
import { SpooledExporter } from "./spooled-exporter";
import { AGENT_VERSION } from "./version";

const SCOPE_NAME = "leak-agent";
/** Findings that come while the SDK is being loaded. */
const MAX_EARLY_FINDINGS = 100;

export interface TelemetryOptions {
  readonly settings: Pick<Settings, "otlp">;
  /** Of all signals; never rejects. */
  readonly resource: () => Promise<ResourceAttributes>;
  /** Where what waits for the backend lies; null: in memory. */
  readonly folder: SpoolFolder | null;
  readonly detector: Pick<Detector, "tally" | "summary">;
  readonly describe: (frame: Frame) => DescribedFrame;
  /** Called when a reading has described what it wanted: what that took can be let go. */
  readonly described?: () => void;
  readonly log: Pick<AgentLog, "info" | "warn" | "warnOnce">;
  readonly costs: AgentCosts;
  readonly processStartMillis: number;
  /** This worker replaces a dead one, which has sent metrics already. */
  readonly isResumed: boolean;
  /** Totals of what other parts dropped, by reason. */
  readonly drops: () => Readonly<Record<string, number>>;
  readonly now?: () => number;
  /** Replaced in tests by another line of the SDK. */
  readonly modules?: () => SdkModules;
}

type State = "idle" | "starting" | "running" | "failed" | "closed";

export class Telemetry {
  readonly totals: AgentTotals = new AgentTotals();
  private readonly metrics: LeakMetrics;
  private readonly now: () => number;
  private readonly workerStartMillis: number;
  private state: State = "idle";
  private started: Promise<void> = Promise.resolve();
  private providers: Flushable[] = [];
  private readonly deliveries: SignalDelivery[] = [];
  private readonly exporters: { readonly failedCount: number }[] = [];
  private logger: Logger | null = null;
  private early: LogRecord[] = [];
  private droppedFindings = 0;
  private droppedSeries = 0;
  private failedReadings = 0;

  /** @returns null when neither metrics nor logs go anywhere. */
  static create(options: TelemetryOptions): Telemetry | null {
    const { metrics, logs } = options.settings.otlp;
    return metrics === null && logs === null ? null : new Telemetry(options);
  }

  private constructor(private readonly options: TelemetryOptions) {
    this.now = options.now ?? Date.now;
    this.workerStartMillis = this.now();
    const { detector, describe, costs, processStartMillis } = options;
    if (options.settings.otlp.metrics !== null) detector.tally(); // It counts from here on, also what a history brings.
    this.metrics = new LeakMetrics({
      detector,
      describe,
      totals: this.totals,
      costs,
      processStartMillis,
      workerStartMillis: this.workerStartMillis,
    });
  }

  report(report: ProbeReport): void {
    this.totals.report(report);
    if (this.state === "idle") this.start();
  }

  goodbye(thread: number): void {
    this.totals.forgetThread(thread);
  }

  /** A verdict changed just now: an event, and from now on the finding's verdict in the metrics. */
  transition(finding: Finding): void {
    this.metrics.note(finding);
    if (this.options.settings.otlp.logs === null) return;
    const record = findingEvent(finding);
    if (this.logger !== null) this.logger.emit(record);
    else if (this.state === "idle" || this.state === "starting") this.keepEarly(record);
    else this.droppedFindings++;
  }

  /** A verdict that was told by an earlier worker of this process: no event. */
  standing(finding: Finding): void {
    this.metrics.note(finding);
  }

  /** Sends what there is now. Never rejects. @param timeoutMillis longest it may take. */
  async flush(timeoutMillis: number): Promise<void> {
    if (this.state === "idle") this.start();
    await this.within(timeoutMillis, () => this.providers.map((provider) => provider.forceFlush()));
  }

  /**
   * Puts the last reading into the spool, sends what the backend takes now, and ends: where it is known to be away, nothing
   * is tried. Never rejects.
   */
  async close(timeoutMillis: number): Promise<void> {
    if (this.state === "closed") return;
    await this.within(timeoutMillis, () => this.providers.map((provider) => provider.shutdown()));
    this.state = "closed";
    this.logger = null;
    for (const delivery of this.deliveries) delivery.close();
  }

  private start(): void {
    this.state = "starting";
    this.started = this.load().catch((error: unknown) => {
      this.state = "failed";
      this.droppedFindings += this.early.length;
      this.early = [];
      const why = error instanceof Error ? error.message : String(error);
      this.options.log.warn("ERR_LEAK_AGENT_EXPORT", `metrics and findings are not exported: ${why}`);
    });
  }

  private async load(): Promise<void> {
    const { otlp } = this.options.settings;
    const modules = this.options.modules?.() ?? new SdkModules();
    const resource = modules.resources.resourceFromAttributes(await this.options.resource());
    if (otlp.metrics !== null) {
      const delivery = await this.open("metrics", otlp.metrics, otlp.metricsTemporality === "cumulative");
      this.providers.push(this.metricProvider(modules, resource, delivery));
    }
    if (otlp.logs !== null) this.startLogs(modules, resource, await this.open("logs", otlp.logs, false));
    this.state = "running";
  }

  private async open(
    signal: "metrics" | "logs",
    endpoint: OtlpEndpoint,
    isNewestOnly: boolean,
  ): Promise<SignalDelivery> {
    const { settings, folder, log, processStartMillis } = this.options;
    const place = { settings: settings.otlp, folder, log, processStartMillis };
    const delivery = await openDelivery(signal, endpoint, place, isNewestOnly);
    this.deliveries.push(delivery);
    return delivery;
  }

  private metricProvider(modules: SdkModules, resource: SdkResource, delivery: SignalDelivery): Flushable {
    const { exportIntervalMillis, metricsTemporality } = this.options.settings.otlp;
    const { metrics } = modules;
    const { CUMULATIVE, DELTA } = metrics.AggregationTemporality;
    const temporalities = {
      sum: metricsTemporality === "delta" ? DELTA : CUMULATIVE,
      histogram: metricsTemporality === "cumulative" ? CUMULATIVE : DELTA,
    };
    const encoder = new MetricEncoder(metrics, temporalities, this.options.isResumed ? this.workerStartMillis : null);
    const exporter = this.exporter("metrics", modules.metricsSerializer, delivery);
    const reader = new metrics.PeriodicExportingMetricReader({
      exporter,
      exportIntervalMillis,
      exportTimeoutMillis: exportIntervalMillis,
      metricProducers: [this.producer(encoder)],
    });
    return new metrics.MeterProvider({ resource, readers: [reader] });
  }

  private exporter<T>(signal: string, serializer: Serializer<T>, delivery: SignalDelivery): SpooledExporter<T> {
    const exporter = new SpooledExporter(serializer, delivery, (error) => this.tellBug(signal, error));
    this.exporters.push(exporter);
    return exporter;
  }

  private tellBug(signal: string, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.options.log.warnOnce(`encode ${signal}`, "ERR_LEAK_AGENT_INTERNAL", `${signal} cannot be encoded: ${why}`);
  }

  private producer(encoder: MetricEncoder): MetricProducer {
    return {
      collect: async () => {
        const nowMillis = this.now();
        const metrics = this.encoded(encoder, nowMillis);
        const scope = { name: SCOPE_NAME, version: AGENT_VERSION };
        return { resourceMetrics: { resource: null, scopeMetrics: [{ scope, metrics }] }, errors: [] };
      },
    };
  }

  private encoded(encoder: MetricEncoder, nowMillis: number): SdkMetric[] {
    try {
      return encoder.encode(this.read(nowMillis), nowMillis);
    } catch (error) {
      this.tellBug("metrics", error);
      this.failedReadings++;
      return [];
    }
  }

  private read(nowMillis: number): MetricBatch {
    for (const [reason, total] of Object.entries({ ...this.options.drops(), ...this.ownDrops() }))
      this.totals.noteDrops(reason, WORKER_THREAD, "", total);
    const batch = this.metrics.read(nowMillis);
    this.options.described?.();
    this.droppedSeries += batch.droppedSeries;
    return batch;
  }

  private ownDrops(): Record<string, number> {
    return {
      ...Object.assign({}, ...this.deliveries.map((delivery) => delivery.drops())),
      metrics_series: this.droppedSeries,
      logs_not_started: this.droppedFindings,
      not_encoded: this.failedReadings + this.exporters.reduce((sum, exporter) => sum + exporter.failedCount, 0),
      tallied_samples: this.options.detector.tally().droppedCount,
    };
  }

  /** Each finding is in the spool when `emit` returns: nothing of it waits in memory. */
  private startLogs(modules: SdkModules, resource: SdkResource, delivery: SignalDelivery): void {
    const { LoggerProvider, SimpleLogRecordProcessor } = modules.logs;
    const exporter = this.exporter("logs", modules.logsSerializer, delivery);
    const provider = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter })] });
    this.providers.push(provider);
    this.emitEarly(provider.getLogger(SCOPE_NAME, AGENT_VERSION));
  }

  private keepEarly(record: LogRecord): void {
    if (this.early.length >= MAX_EARLY_FINDINGS) {
      this.early.shift();
      this.droppedFindings++;
    }
    this.early.push(record);
  }

  private emitEarly(logger: Logger): void {
    this.logger = logger;
    for (const record of this.early) logger.emit(record);
    this.early = [];
  }

  /** First `work`, which fills the spool, then as much of the spool as the backend takes now. */
  private async within(timeoutMillis: number, work: () => Promise<void>[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((done) => {
      timer = setTimeout(done, timeoutMillis);
    });
    const done = this.started
      .then(() => Promise.allSettled(work()))
      .then(() => Promise.all(this.deliveries.map((delivery) => delivery.flush())));
    await Promise.race([done, patience]);
    clearTimeout(timer);
  }
}
