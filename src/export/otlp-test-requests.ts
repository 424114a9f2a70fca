/**
 * Runs in the CLI. Owns the smallest valid request of each signal, for asking a backend whether it takes them: one sample,
 * one metric of each kind that the agent sends, one log event, all named after `leak-agent doctor`. Field numbers: opentelemetry-proto 1.11.0.
 */
import type { MetricsTemporality, OtlpSignal } from "../config";
import { nanosOfMillis } from "./live-heap";
import { type OtlpAttributes, writeAnyValue, writeAttributes } from "./otlp-attributes";
import { OtlpProfileBuilder } from "./otlp-profiles";
import { INSTRUMENTATION_SCOPE, RESOURCE } from "./otlp-profiles-fields";
import { ProtobufWriter } from "./protobuf-writer";

/** Name of the gauge and of the log event; the sum and the histogram have it in front of theirs. */
export const TEST_NAME = "leak_agent.doctor";

/** Export<Signal>ServiceRequest, Resource<Signal>, Scope<Signal>: the same numbers for metrics and logs. */
const REQUEST = { resources: 1 } as const;
const RESOURCE_SIGNALS = { resource: 1, scopes: 2 } as const;
const SCOPE_SIGNALS = { scope: 1, items: 2 } as const;
const METRIC = { name: 1, description: 2, unit: 3, gauge: 5, sum: 7, histogram: 9 } as const;
/** Gauge, Sum and Histogram; a Gauge has only the first. */
const METRIC_DATA = { dataPoints: 1, temporality: 2, isMonotonic: 3 } as const;
const NUMBER_DATA_POINT = { startTimeUnixNano: 2, timeUnixNano: 3, asDouble: 4 } as const;
const HISTOGRAM_DATA_POINT = { startTimeUnixNano: 2, timeUnixNano: 3, count: 4, sum: 5 } as const;
const DELTA = 1;
const CUMULATIVE = 2;
const LOG_RECORD = { timeUnixNano: 1, severityNumber: 2, body: 5, observedTimeUnixNano: 11, eventName: 12 } as const;
const SEVERITY_INFO = 9;

const INTERVAL_BYTES = 524_288;
const WINDOW_MILLIS = 1_000;
const TEXT = "leak-agent doctor asks whether this backend takes what the agent sends";

/**
 * @param temporality of the sum and the histogram: some backends, such as Prometheus, refuse differences.
 * @returns an uncompressed request that is valid and as small as can be.
 */
export function testRequest(
  signal: OtlpSignal,
  resource: OtlpAttributes,
  version: string,
  nowMillis: number,
  temporality: MetricsTemporality,
): Uint8Array {
  if (signal === "profiles") return testProfile(resource, version, nowMillis);
  const writer = new ProtobufWriter();
  writer.message(REQUEST.resources, () => {
    writer.message(RESOURCE_SIGNALS.resource, () => writeAttributes(writer, RESOURCE.attributes, resource));
    writer.message(RESOURCE_SIGNALS.scopes, () => {
      writer.message(SCOPE_SIGNALS.scope, () => {
        writer.string(INSTRUMENTATION_SCOPE.name, "leak-agent");
        writer.string(INSTRUMENTATION_SCOPE.version, version);
      });
      if (signal === "metrics") writeMetrics(writer, nowMillis, temporality);
      else writer.message(SCOPE_SIGNALS.items, () => writeLogRecord(writer, nowMillis));
    });
  });
  return writer.finish();
}

function testProfile(resource: OtlpAttributes, version: string, nowMillis: number): Uint8Array {
  const builder = new OtlpProfileBuilder();
  const frame = { function: TEST_NAME, file: "doctor.js", line: 1, column: 1 };
  builder.add({ frame, parent: null }, "background", null, INTERVAL_BYTES, INTERVAL_BYTES, 0, "");
  const times = {
    startMillis: nowMillis - WINDOW_MILLIS,
    durationMillis: WINDOW_MILLIS,
    intervalBytes: INTERVAL_BYTES,
  };
  return builder.encode({ attributes: resource, schemaUrl: "" }, version, times);
}

/** A gauge, and a sum and a histogram that say in which temporality the agent would send its own. */
function writeMetrics(writer: ProtobufWriter, nowMillis: number, temporality: MetricsTemporality): void {
  const [start, end] = [nanosOfMillis(nowMillis - WINDOW_MILLIS), nanosOfMillis(nowMillis)];
  writeMetric(writer, TEST_NAME, METRIC.gauge, () => {
    writer.message(METRIC_DATA.dataPoints, () => {
      writer.fixed64(NUMBER_DATA_POINT.timeUnixNano, end);
      writer.presentDouble(NUMBER_DATA_POINT.asDouble, 1);
    });
  });
  writeMetric(writer, `${TEST_NAME}.sum`, METRIC.sum, () => {
    writer.message(METRIC_DATA.dataPoints, () => {
      writer.fixed64(NUMBER_DATA_POINT.startTimeUnixNano, start);
      writer.fixed64(NUMBER_DATA_POINT.timeUnixNano, end);
      writer.presentDouble(NUMBER_DATA_POINT.asDouble, 1);
    });
    writer.int(METRIC_DATA.temporality, temporality === "delta" ? DELTA : CUMULATIVE);
    writer.presentBool(METRIC_DATA.isMonotonic, true);
  });
  writeMetric(writer, `${TEST_NAME}.histogram`, METRIC.histogram, () => {
    writer.message(METRIC_DATA.dataPoints, () => {
      writer.fixed64(HISTOGRAM_DATA_POINT.startTimeUnixNano, start);
      writer.fixed64(HISTOGRAM_DATA_POINT.timeUnixNano, end);
      writer.fixed64(HISTOGRAM_DATA_POINT.count, 1n);
      writer.presentDouble(HISTOGRAM_DATA_POINT.sum, 1);
    });
    writer.int(METRIC_DATA.temporality, temporality === "cumulative" ? CUMULATIVE : DELTA);
  });
}

function writeMetric(writer: ProtobufWriter, name: string, kind: number, writeData: () => void): void {
  writer.message(SCOPE_SIGNALS.items, () => {
    writer.string(METRIC.name, name);
    writer.string(METRIC.description, TEXT);
    writer.string(METRIC.unit, "1");
    writer.message(kind, writeData);
  });
}

function writeLogRecord(writer: ProtobufWriter, nowMillis: number): void {
  writer.fixed64(LOG_RECORD.timeUnixNano, nanosOfMillis(nowMillis));
  writer.int(LOG_RECORD.severityNumber, SEVERITY_INFO);
  writer.message(LOG_RECORD.body, () => writeAnyValue(writer, TEXT));
  writer.fixed64(LOG_RECORD.observedTimeUnixNano, nanosOfMillis(nowMillis));
  writer.string(LOG_RECORD.eventName, TEST_NAME);
}
