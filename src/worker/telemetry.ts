/**
 * Runs on the agent's worker thread. Owns metrics and log events: the SDK's life, what it is fed, and what it lost. Loads
 * nothing before the first report, and nothing at all without an endpoint; its failure costs these two signals only.
 */
import type { Settings } from "../config";
import type { Detector } from "../detector/detector";
import type { DescribedFrame } from "../detector/finding-record";
import { describeEndpoint, withoutSecrets } from "../export/otlp-endpoint";
import type { Finding } from "../model/finding";
import type { ProbeReport } from "../model/messages";
import type { Frame } from "../model/observation";
import { AgentTotals } from "./agent-totals";
import { CountingExporter, PatientLogExporter } from "./counting-exporter";
import { findingEvent } from "./finding-event";
import { LeakMetrics } from "./leak-metrics";
import type { AgentLog } from "./log";
import { type MetricBatch, MetricEncoder } from "./metric-batch";
import { detectResource, type ResourceIdentity } from "./resource";
import { diagLogger, type SdkListener } from "./sdk-diagnostics";
import { applyEnvironment, sdkEnvironment } from "./sdk-environment";
import { type LogRecord, type LogsApi, type MetricProducer, type NodeSdk, SdkModules } from "./sdk-modules";
import { AGENT_VERSION } from "./version";

const SCOPE_NAME = "leak-agent";
/** Findings that come while the SDK is being loaded. */
const MAX_EARLY_FINDINGS = 100;
const MAX_LOG_QUEUE = 512;
/** A finding is news: it does not wait for the metrics' turn. */
const LOG_DELAY_MILLIS = 1_000;
/** How often findings that a backend did not take are offered again. */
const LOG_RETRY_MILLIS = 30_000;

export interface TelemetryOptions {
  readonly settings: Pick<Settings, "otlp">;
  readonly identity: ResourceIdentity;
  readonly detector: Pick<Detector, "tally" | "summary">;
  readonly describe: (frame: Frame) => DescribedFrame;
  /** Called when a reading has described what it wanted: what that took can be let go. */
  readonly described?: () => void;
  readonly log: Pick<AgentLog, "info" | "warn" | "warnOnce">;
  readonly processStartMillis: number;
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
  private state: State = "idle";
  private started: Promise<void> = Promise.resolve();
  private sdk: NodeSdk | null = null;
  private flushables: { forceFlush(): Promise<void> }[] = [];
  private metricExporter: CountingExporter<unknown> | null = null;
  private logExporter: PatientLogExporter | null = null;
  private modules: SdkModules | null = null;
  private logger: ReturnType<LogsApi["getLogger"]> | null = null;
  private early: LogRecord[] = [];
  private droppedFindings = 0;
  private droppedSeries = 0;
  private readonly rejected = { data_points: 0, log_records: 0 };

  /** @returns null when neither metrics nor logs go anywhere. */
  static create(options: TelemetryOptions): Telemetry | null {
    const { metrics, logs } = options.settings.otlp;
    return metrics === null && logs === null ? null : new Telemetry(options);
  }

  private constructor(private readonly options: TelemetryOptions) {
    this.now = options.now ?? Date.now;
    const { detector, describe, processStartMillis } = options;
    if (options.settings.otlp.metrics !== null) detector.tally(); // It counts from here on, also what a history brings.
    this.metrics = new LeakMetrics({
      detector,
      describe,
      totals: this.totals,
      processStartMillis,
      workerStartMillis: this.now(),
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
    await this.within(
      timeoutMillis,
      this.started.then(() =>
        Promise.all([...this.flushables.map((flushable) => flushable.forceFlush()), this.logExporter?.retry()]),
      ),
    );
  }

  /** Sends what there is, and ends. Never rejects. */
  async close(timeoutMillis: number): Promise<void> {
    if (this.state === "closed") return;
    await this.within(
      timeoutMillis,
      this.started.then(() => this.sdk?.shutdown()),
    );
    this.state = "closed";
    this.logger = null;
    this.modules?.unregister();
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
    const { settings, identity } = this.options;
    const { otlp } = settings;
    const modules = this.options.modules?.() ?? new SdkModules();
    // biome-ignore lint/style/noProcessEnv: written, not read: this thread's own copy, which the exporters read
    applyEnvironment(sdkEnvironment(otlp), process.env);
    const attributes = await detectResource(modules.resources, identity);
    modules.setDiagLogger(diagLogger(this.sdkListener()));
    const { nodeSdk: NodeSdk } = modules;
    const metricReaders = otlp.metrics === null ? [] : [this.metricReader(modules)];
    const logRecordProcessors = otlp.logs === null ? [] : [this.logProcessor(modules)];
    const sdk = new NodeSdk({
      autoDetectResources: false,
      resource: modules.resources.resourceFromAttributes(attributes),
      contextManager: null,
      textMapPropagator: null,
      instrumentations: [],
      spanProcessors: [],
      metricReaders,
      logRecordProcessors,
    });
    sdk.start();
    this.sdk = sdk;
    this.flushables = [...metricReaders, ...logRecordProcessors];
    this.state = "running";
    this.modules = modules;
    if (otlp.logs !== null) this.emitEarly(modules.logsApi.getLogger(SCOPE_NAME, AGENT_VERSION));
  }

  private metricReader(modules: SdkModules): { forceFlush(): Promise<void>; shutdown(): Promise<void> } {
    const { otlp } = this.options.settings;
    const { metrics } = modules;
    const exporter = modules.metricExporter(otlp.metrics?.protocol ?? "http/protobuf");
    const temporality = (instrument: string): number =>
      exporter.selectAggregationTemporality?.(instrument) ?? metrics.AggregationTemporality.CUMULATIVE;
    const encoder = new MetricEncoder(metrics, {
      sum: temporality(metrics.InstrumentType.OBSERVABLE_COUNTER),
      histogram: temporality(metrics.InstrumentType.HISTOGRAM),
    });
    const counting = new CountingExporter<unknown>(exporter, () => 1, this.teller("metrics"));
    this.metricExporter = counting;
    return new metrics.PeriodicExportingMetricReader({
      exporter: counting,
      exportIntervalMillis: otlp.exportIntervalMillis,
      exportTimeoutMillis: Math.min(
        otlp.exportIntervalMillis,
        otlp.metrics?.timeoutMillis ?? otlp.exportIntervalMillis,
      ),
      metricProducers: [this.producer(encoder)],
    });
  }

  private producer(encoder: MetricEncoder): MetricProducer {
    return {
      collect: async () => {
        const nowMillis = this.now();
        const metrics = encoder.encode(this.read(nowMillis), nowMillis);
        const scope = { name: SCOPE_NAME, version: AGENT_VERSION };
        return { resourceMetrics: { resource: null, scopeMetrics: [{ scope, metrics }] }, errors: [] };
      },
    };
  }

  private read(nowMillis: number): MetricBatch {
    for (const [reason, total] of Object.entries({ ...this.options.drops(), ...this.ownDrops() }))
      this.totals.noteDrops(reason, "worker", total);
    const batch = this.metrics.read(nowMillis);
    this.options.described?.();
    this.droppedSeries += batch.droppedSeries;
    return batch;
  }

  private ownDrops(): Record<string, number> {
    return {
      metric_exports: this.metricExporter?.counts.lost ?? 0,
      metric_points: this.rejected.data_points,
      metric_series: this.droppedSeries,
      finding_events: this.droppedFindings + (this.logExporter?.counts.lost ?? 0) + this.rejected.log_records,
      tallied_samples: this.options.detector.tally().droppedCount,
    };
  }

  private logProcessor(modules: SdkModules): { forceFlush(): Promise<void>; shutdown(): Promise<void> } {
    const { otlp } = this.options.settings;
    const exporter = new PatientLogExporter(
      modules.logExporter(otlp.logs?.protocol ?? "http/protobuf"),
      this.teller("logs"),
    );
    this.logExporter = exporter;
    setInterval(() => void exporter.retry(), LOG_RETRY_MILLIS).unref();
    return new modules.logs.BatchLogRecordProcessor({
      exporter,
      scheduledDelayMillis: LOG_DELAY_MILLIS,
      maxQueueSize: MAX_LOG_QUEUE,
    });
  }

  private keepEarly(record: LogRecord): void {
    if (this.early.length >= MAX_EARLY_FINDINGS) {
      this.early.shift();
      this.droppedFindings++;
    }
    this.early.push(record);
  }

  private emitEarly(logger: ReturnType<LogsApi["getLogger"]>): void {
    this.logger = logger;
    for (const record of this.early) logger.emit(record);
    this.early = [];
  }

  /** Tells when a signal's export begins to fail, and when it works again; not each time. */
  private teller(signal: "metrics" | "logs"): (problem: string | null) => void {
    const endpoint = this.options.settings.otlp[signal];
    const where = endpoint === null ? "the backend" : describeEndpoint(endpoint);
    let isFailing = false;
    return (problem) => {
      if ((problem !== null) === isFailing) return;
      isFailing = problem !== null;
      if (problem === null) this.options.log.info(`${where} takes ${signal} again`);
      else
        this.options.log.warn("ERR_LEAK_AGENT_EXPORT", `${where} does not take ${signal}: ${this.clean(problem)}`, {
          signal,
        });
    };
  }

  private sdkListener(): SdkListener {
    const { log } = this.options;
    const code = "ERR_LEAK_AGENT_EXPORT";
    return {
      rejected: (kind, count, reason) => {
        this.rejected[kind] += count;
        log.warnOnce(
          `rejected ${kind}`,
          code,
          `the backend left out ${count} ${kind.replace("_", " ")}: ${this.clean(reason)}; told once`,
        );
      },
      said: (line) => log.warnOnce(`otel ${line.slice(0, 60)}`, code, `OpenTelemetry SDK: ${this.clean(line)}`),
    };
  }

  private clean(text: string): string {
    const { metrics, logs } = this.options.settings.otlp;
    return [metrics, logs].reduce(
      (line, endpoint) => (endpoint === null ? line : withoutSecrets(line, endpoint)),
      text,
    );
  }

  private async within(timeoutMillis: number, work: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((done) => {
      timer = setTimeout(done, timeoutMillis);
    });
    // A failed export has been told and counted by its exporter.
    await Promise.race([work.catch(() => {}), patience]);
    clearTimeout(timer);
  }
}
