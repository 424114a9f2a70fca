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
/** Series that are not read now and may come back: 400 sites had their turn, with five sums each; twice that. */
const MAX_AWAY = 4_000;

interface Reading {
  readonly attributes: Attributes;
  readonly sinceMillis: number;
  value: number | HistogramValue;
  /** The part of a sum that went out under other attributes already. */
  movedIn: number;
}

interface Temporalities {
  readonly sum: number;
  readonly histogram: number;
}

interface Sent {
  readonly value: number | HistogramValue;
  readonly timeMillis: number;
}

/** Readings of one moment; those with the same attributes are one. */
export class MetricBatch {
  private readonly readings = new Map<MetricDescription, Map<string, Reading>>();
  private seriesCount = 0;
  droppedSeries = 0;

  /**
   * @param sinceMillis when the series began; sums of one that ended and came back start anew there.
   * @param movedIn the part of a sum that was read under other attributes: it belongs to the total, and to no difference.
   */
  add(metric: MetricDescription, value: number, attributes: Attributes, sinceMillis: number, movedIn = 0): void {
    const reading = this.readingOf(metric, attributes, sinceMillis);
    if (reading === null || !Number.isFinite(value)) return;
    reading.movedIn += movedIn;
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
    const reading = { attributes, sinceMillis, value: Number.NaN, movedIn: 0 };
    series.set(key, reading);
    return reading;
  }
}

/** From batches to `MetricData`; remembers what was sent where the backend wants differences. */
export class MetricEncoder {
  /** By metric and attributes; those read last are at the end. */
  private readonly sent = new Map<string, Sent>();

  /**
   * @param resumedMillis when this worker replaced a dead one, else null: what is older than it may have been sent by that
   * one, so that the first batch is where differences of it begin.
   */
  constructor(
    private readonly sdk: Pick<MetricsModule, "DataPointType" | "AggregationTemporality">,
    private readonly temporalities: Temporalities,
    private resumedMillis: number | null = null,
  ) {}

  encode(batch: MetricBatch, nowMillis: number): SdkMetric[] {
    const metrics: SdkMetric[] = [];
    let deltaCount = 0;
    for (const [metric, series] of batch.entries()) {
      const points: SdkMetric["dataPoints"][number][] = [];
      const isDelta = this.isDelta(metric);
      if (isDelta) deltaCount += series.size;
      for (const [key, reading] of series) {
        if (typeof reading.value === "number" && Number.isNaN(reading.value)) continue;
        const point = isDelta
          ? this.difference(`${metric.name} ${key}`, reading, nowMillis)
          : pointOf(reading, reading.value, reading.sinceMillis, nowMillis);
        if (point !== null) points.push(point);
      }
      if (points.length > 0) metrics.push(this.metricOf(metric, points));
    }
    this.resumedMillis = null;
    this.forgetLongAway(deltaCount);
    return metrics;
  }

  /** @returns null where the series may have been sent by an earlier worker. */
  private difference(key: string, reading: Reading, nowMillis: number): SdkMetric["dataPoints"][number] | null {
    const { sinceMillis } = reading;
    const value = typeof reading.value === "number" ? Math.max(0, reading.value - reading.movedIn) : reading.value;
    const before = this.sent.get(key);
    this.sent.delete(key);
    this.sent.set(key, { value, timeMillis: nowMillis });
    if (this.resumedMillis !== null && sinceMillis < this.resumedMillis) return null;
    if (before === undefined || sinceMillis > before.timeMillis) return pointOf(reading, value, sinceMillis, nowMillis);
    return pointOf(reading, differenceOf(value, before.value), before.timeMillis, nowMillis);
  }

  private forgetLongAway(readCount: number): void {
    for (const key of this.sent.keys()) {
      if (this.sent.size <= readCount + MAX_AWAY) return;
      this.sent.delete(key);
    }
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

function pointOf(
  { attributes }: Reading,
  value: number | HistogramValue,
  startMillis: number,
  endMillis: number,
): SdkMetric["dataPoints"][number] {
  return { startTime: hrTime(startMillis), endTime: hrTime(endMillis), attributes, value };
}

function differenceOf(now: number | HistogramValue, before: number | HistogramValue): number | HistogramValue {
  // Not below 0: after what moved in is taken off, rounding may leave a little less than before.
  if (typeof now === "number") return Math.max(0, now - (typeof before === "number" ? before : 0));
  return typeof before === "number" ? now : histogramDifference(now, before);
}

function hrTime(millis: number): HrTime {
  const seconds = Math.floor(millis / 1_000);
  return [seconds, Math.round((millis - seconds * 1_000) * 1_000_000)];
}
