/**
 * Runs on the agent's worker thread. Owns loading the parts of `@opentelemetry/sdk-node` that the agent uses: resources,
 * metrics, logs and the OTLP encoders, half of the whole in time and memory. Loads nothing before it is called, registers
 * no global. Types are the parts that 0.223 and 0.301 share.
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

export interface LogRecord {
  readonly eventName: string;
  readonly timestamp: number;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly body: unknown;
  readonly attributes: Attributes;
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
  readonly hostDetector: ResourceDetector;
  readonly osDetector: ResourceDetector;
  readonly processDetector: ResourceDetector;
}

/** A reader of metrics or a processor of log records. */
export interface Flushable {
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

export interface MetricsModule {
  readonly MeterProvider: new (options: { resource: SdkResource; readers: readonly Flushable[] }) => Flushable;
  readonly PeriodicExportingMetricReader: new (options: {
    exporter: Exporter<unknown>;
    exportIntervalMillis: number;
    exportTimeoutMillis: number;
    metricProducers: readonly MetricProducer[];
  }) => Flushable;
  readonly DataPointType: { readonly HISTOGRAM: number; readonly GAUGE: number; readonly SUM: number };
  readonly AggregationTemporality: { readonly DELTA: number; readonly CUMULATIVE: number };
}

export interface Logger {
  emit(record: LogRecord): void;
}

export interface LogsModule {
  readonly LoggerProvider: new (options: {
    resource: SdkResource;
    processors: readonly Flushable[];
  }) => Flushable & { getLogger(name: string, version: string): Logger };
  readonly SimpleLogRecordProcessor: new (options: { exporter: Exporter<readonly unknown[]> }) => Flushable;
}

/** From the SDK's data to an `Export<Signal>ServiceRequest`, not compressed. */
export interface Serializer<T> {
  serializeRequest(items: T): Uint8Array | undefined;
}

interface TransformerModule {
  readonly ProtobufMetricsSerializer: Serializer<unknown>;
  readonly ProtobufLogsSerializer: Serializer<readonly unknown[]>;
}

/** Brings the encoders along; both lines of the SDK depend on it. */
const LOG_EXPORTER = "@opentelemetry/exporter-logs-otlp-proto";

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

  get resources(): ResourcesModule {
    return this.load("@opentelemetry/resources") as ResourcesModule;
  }

  get metrics(): MetricsModule {
    return this.load("@opentelemetry/sdk-metrics") as MetricsModule;
  }

  get logs(): LogsModule {
    return this.load("@opentelemetry/sdk-logs") as LogsModule;
  }

  get metricsSerializer(): Serializer<unknown> {
    return this.transformer.ProtobufMetricsSerializer;
  }

  get logsSerializer(): Serializer<readonly unknown[]> {
    return this.transformer.ProtobufLogsSerializer;
  }

  protected get transformer(): TransformerModule {
    return createRequire(this.load.resolve(LOG_EXPORTER))("@opentelemetry/otlp-transformer") as TransformerModule;
  }
}
