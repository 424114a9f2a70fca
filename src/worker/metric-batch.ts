/**
 * Runs on the agent's worker thread. Owns turning readings into the SDK's metric data, one batch per export. Readings and
 * not instruments, because a series must be able to end: an SDK's cumulative instrument repeats every series it ever saw.
 */
import { type HistogramValue, histogramDifference } from "./histogram";
import type { MetricDescription } from "./metric-names";
import type { Attributes, HrTime, MetricsModule, SdkMetric } from "./sdk-modules";

const VALUE_INT = 0;
const VALUE_DOUBLE = 1;
/** Series beyond are left out, counted: a backend that is flooded forgets the useful ones. */
const MAX_SERIES = 5_000;

interface Reading {
  readonly attributes: Attributes;
  readonly sinceMillis: number;
  value: number | HistogramValue;
}

interface Temporalities {
  readonly sum: number;
  readonly histogram: number;
}

/** Readings of one moment; those with the same attributes are one. */
export class MetricBatch {
  private readonly readings = new Map<MetricDescription, Map<string, Reading>>();
  private seriesCount = 0;
  droppedSeries = 0;

  /** @param sinceMillis when the series began; sums of one that ended and came back start anew there. */
  add(metric: MetricDescription, value: number, attributes: Attributes, sinceMillis: number): void {
    const reading = this.readingOf(metric, attributes, sinceMillis);
    if (reading === null || !Number.isFinite(value)) return;
    const before = reading.value as number;
    if (Number.isNaN(before)) reading.value = value;
    else reading.value = metric.kind === "gauge" ? Math.max(before, value) : before + value;
  }

  addHistogram(metric: MetricDescription, value: HistogramValue, attributes: Attributes, sinceMillis: number): void {
    const reading = this.readingOf(metric, attributes, sinceMillis);
    if (reading !== null) reading.value = value;
  }

  *entries(): Generator<[MetricDescription, ReadonlyMap<string, Reading>]> {
    yield* this.readings;
  }

  private readingOf(metric: MetricDescription, attributes: Attributes, sinceMillis: number): Reading | null {
    const series = this.readings.get(metric) ?? new Map<string, Reading>();
    this.readings.set(metric, series);
    const key = JSON.stringify(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
    const known = series.get(key);
    if (known !== undefined) return known;
    if (this.seriesCount >= MAX_SERIES) {
      this.droppedSeries++;
      return null;
    }
    this.seriesCount++;
    const reading = { attributes, sinceMillis, value: Number.NaN };
    series.set(key, reading);
    return reading;
  }
}

/** From batches to `MetricData`; remembers the last batch where the backend wants differences. */
export class MetricEncoder {
  private before = new Map<string, { value: number | HistogramValue; timeMillis: number }>();

  constructor(
    private readonly sdk: Pick<MetricsModule, "DataPointType" | "AggregationTemporality">,
    private readonly temporalities: Temporalities,
  ) {}

  encode(batch: MetricBatch, nowMillis: number): SdkMetric[] {
    const metrics: SdkMetric[] = [];
    const next = new Map<string, { value: number | HistogramValue; timeMillis: number }>();
    for (const [metric, series] of batch.entries()) {
      const points: SdkMetric["dataPoints"][number][] = [];
      for (const [key, reading] of series) {
        if (typeof reading.value === "number" && Number.isNaN(reading.value)) continue;
        const point = this.pointOf(metric, `${metric.name} ${key}`, reading, nowMillis, next);
        points.push(point);
      }
      if (points.length > 0) metrics.push(this.metricOf(metric, points));
    }
    this.before = next;
    return metrics;
  }

  private pointOf(
    metric: MetricDescription,
    key: string,
    reading: Reading,
    nowMillis: number,
    next: Map<string, { value: number | HistogramValue; timeMillis: number }>,
  ): SdkMetric["dataPoints"][number] {
    const { attributes, sinceMillis, value } = reading;
    const endTime = hrTime(nowMillis);
    if (!this.isDelta(metric)) return { startTime: hrTime(sinceMillis), endTime, attributes, value };
    next.set(key, { value, timeMillis: nowMillis });
    const before = this.before.get(key);
    if (before === undefined) return { startTime: hrTime(sinceMillis), endTime, attributes, value };
    return { startTime: hrTime(before.timeMillis), endTime, attributes, value: difference(value, before.value) };
  }

  private isDelta({ kind }: MetricDescription): boolean {
    const { DELTA } = this.sdk.AggregationTemporality;
    return (
      (kind === "sum" && this.temporalities.sum === DELTA) ||
      (kind === "histogram" && this.temporalities.histogram === DELTA)
    );
  }

  private metricOf(metric: MetricDescription, dataPoints: SdkMetric["dataPoints"]): SdkMetric {
    const { AggregationTemporality, DataPointType } = this.sdk;
    const { name, description, unit, kind } = metric;
    const isCount = kind === "sum" && COUNT_UNIT.test(unit);
    const areWhole = dataPoints.every(({ value }) => Number.isSafeInteger(value));
    return {
      descriptor: { name, description, unit, valueType: areWhole && isCount ? VALUE_INT : VALUE_DOUBLE },
      aggregationTemporality: this.isDelta(metric) ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
      dataPointType:
        kind === "histogram" ? DataPointType.HISTOGRAM : kind === "gauge" ? DataPointType.GAUGE : DataPointType.SUM,
      ...(kind === "sum" || kind === "updown" ? { isMonotonic: kind === "sum" } : {}),
      dataPoints,
    };
  }
}

/** Counts of things: a backend must not see their type change between two exports, as that of an estimate would. */
const COUNT_UNIT = /^\{\w+\}$/;

function difference(now: number | HistogramValue, before: number | HistogramValue): number | HistogramValue {
  if (typeof now === "number") return now - (typeof before === "number" ? before : 0);
  return typeof before === "number" ? now : histogramDifference(now, before);
}

function hrTime(millis: number): HrTime {
  const seconds = Math.floor(millis / 1_000);
  return [seconds, Math.round((millis - seconds * 1_000) * 1_000_000)];
}
