/**
 * Runs on the agent's worker thread. Owns loading `@opentelemetry/sdk-node` and the packages it brings along. Nothing here
 * is loaded before it is called: the SDK takes half a second and 20 MB. Types are the parts that 0.223 and 0.301 share.
 */
import { createRequire } from "node:module";

export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Seconds and nanoseconds since the Unix epoch. */
export type HrTime = [number, number];

export interface ExportResult {
  /** 0 is success. */
  readonly code: number;
  readonly error?: Error & { readonly code?: number };
}

export interface Exporter<T> {
  export(items: T, done: (result: ExportResult) => void): void;
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

export interface MetricDataPoint {
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly attributes: Attributes;
  readonly value: unknown;
}

/** `MetricData` of sdk-metrics; the enums are numbers and strings of the loaded module. */
export interface SdkMetric {
  readonly descriptor: {
    readonly name: string;
    readonly description: string;
    readonly unit: string;
    valueType: number;
  };
  readonly aggregationTemporality: number;
  readonly dataPointType: number;
  readonly isMonotonic?: boolean;
  readonly dataPoints: readonly MetricDataPoint[];
}

export interface CollectionResult {
  readonly resourceMetrics: {
    readonly resource: unknown;
    readonly scopeMetrics: readonly {
      readonly scope: { readonly name: string; readonly version: string };
      readonly metrics: readonly SdkMetric[];
    }[];
  };
  readonly errors: readonly unknown[];
}

export interface MetricProducer {
  collect(): Promise<CollectionResult>;
}

export interface MetricExporter extends Exporter<unknown> {
  selectAggregationTemporality?(instrumentType: string): number;
}

export interface LogRecord {
  readonly eventName: string;
  readonly timestamp: number;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly body: unknown;
  readonly attributes: Attributes;
}

interface Flushable {
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

export interface SdkResource {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly asyncAttributesPending?: boolean;
  waitForAsyncAttributes?(): Promise<void>;
  merge(other: SdkResource | null): SdkResource;
}

export interface ResourceDetector {
  detect(): { readonly attributes: Readonly<Record<string, unknown>> };
}

export interface ResourcesModule {
  defaultResource(): SdkResource;
  resourceFromAttributes(attributes: Attributes): SdkResource;
  detectResources(config: { readonly detectors: readonly ResourceDetector[] }): SdkResource;
  readonly envDetector: ResourceDetector;
  readonly hostDetector: ResourceDetector;
  readonly osDetector: ResourceDetector;
  readonly processDetector: ResourceDetector;
}

export interface MetricsModule {
  readonly PeriodicExportingMetricReader: new (options: {
    exporter: MetricExporter;
    exportIntervalMillis: number;
    exportTimeoutMillis: number;
    metricProducers: readonly MetricProducer[];
  }) => Flushable;
  readonly DataPointType: { readonly HISTOGRAM: number; readonly GAUGE: number; readonly SUM: number };
  readonly AggregationTemporality: { readonly DELTA: number; readonly CUMULATIVE: number };
  readonly InstrumentType: { readonly OBSERVABLE_COUNTER: string; readonly HISTOGRAM: string };
}

export interface LogsModule {
  readonly BatchLogRecordProcessor: new (options: {
    exporter: Exporter<readonly unknown[]>;
    scheduledDelayMillis: number;
    maxQueueSize: number;
  }) => Flushable;
}

export interface LogsApi {
  getLogger(name: string, version: string): { emit(record: LogRecord): void };
  disable(): void;
}

export interface DiagLogger {
  error(message: string, ...details: unknown[]): void;
  warn(message: string, ...details: unknown[]): void;
  info(message: string, ...details: unknown[]): void;
  debug(message: string, ...details: unknown[]): void;
  verbose(message: string, ...details: unknown[]): void;
}

export interface NodeSdk {
  start(): void;
  shutdown(): Promise<void>;
}

export type NodeSdkConstructor = new (options: {
  autoDetectResources: boolean;
  resource: SdkResource;
  contextManager: null;
  textMapPropagator: null;
  instrumentations: readonly never[];
  spanProcessors: readonly never[];
  metricReaders: readonly Flushable[];
  logRecordProcessors?: readonly Flushable[];
}) => NodeSdk;

export type OtlpProtocol = "http/protobuf" | "http/json" | "grpc";

const EXPORTER_PACKAGES: Readonly<Record<OtlpProtocol, string>> = {
  "http/protobuf": "proto",
  "http/json": "http",
  grpc: "grpc",
};

export class SdkModules {
  private readonly load: NodeJS.Require;

  /**
   * @param sdkPath where sdk-node lies; replaced in tests by another line of it.
   * @throws Error when the package is missing.
   */
  constructor(sdkPath: string = require.resolve("@opentelemetry/sdk-node")) {
    // From there its own dependencies resolve, hoisted or not.
    this.load = createRequire(sdkPath);
  }

  get nodeSdk(): NodeSdkConstructor {
    return (this.load("@opentelemetry/sdk-node") as { NodeSDK: NodeSdkConstructor }).NodeSDK;
  }

  get resources(): ResourcesModule {
    return this.load("@opentelemetry/resources") as ResourcesModule;
  }

  get metrics(): MetricsModule {
    return this.load("@opentelemetry/sdk-metrics") as MetricsModule;
  }

  get logs(): LogsModule {
    return this.load("@opentelemetry/sdk-logs") as LogsModule;
  }

  /** The API that the SDK registers itself with: from 0.301 on the logs API is a part of `@opentelemetry/api` 1.10. */
  get logsApi(): LogsApi {
    const api = this.load("@opentelemetry/api") as { logs?: LogsApi };
    return api.logs ?? (this.load("@opentelemetry/api-logs") as { logs: LogsApi }).logs;
  }

  /** Takes back what the SDK has registered in this thread, so that another one may. */
  unregister(): void {
    this.logsApi.disable();
    (this.load("@opentelemetry/api") as { metrics: { disable(): void } }).metrics.disable();
  }

  /** What the SDK says about itself goes to `logger`; without this call it says nothing. */
  setDiagLogger(logger: DiagLogger): void {
    const { diag, DiagLogLevel } = this.load("@opentelemetry/api") as {
      diag: { setLogger(logger: DiagLogger, options: object): void };
      DiagLogLevel: { WARN: number };
    };
    diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  }

  /** Reads endpoint, headers, TLS files, timeout, compression and temporality from the OTEL_* variables by itself. */
  metricExporter(protocol: OtlpProtocol): MetricExporter {
    const name = `@opentelemetry/exporter-metrics-otlp-${EXPORTER_PACKAGES[protocol]}`;
    return new (this.load(name) as { OTLPMetricExporter: new () => MetricExporter }).OTLPMetricExporter();
  }

  /** As `metricExporter`. */
  logExporter(protocol: OtlpProtocol): Exporter<readonly unknown[]> {
    const name = `@opentelemetry/exporter-logs-otlp-${EXPORTER_PACKAGES[protocol]}`;
    const { OTLPLogExporter } = this.load(name) as { OTLPLogExporter: new () => Exporter<readonly unknown[]> };
    return new OTLPLogExporter();
  }
}
