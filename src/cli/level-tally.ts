/** Runs in the CLI process. Owns how the memory level of one life went, with a bounded part of its readings. */

import { type Trend, theilSen } from "../detector/level-trend";
import type { LevelReading } from "../model/observation";

/** Readings kept beside the first and the latest; when full, every second one goes. */
const MAX_READINGS = 1_024;
const HOUR_MILLIS = 3_600_000;

export interface LevelRow {
  readonly name: "heap after GC" | "external" | "RSS" | "container";
  readonly firstBytes: number;
  readonly lastBytes: number;
  readonly limitBytes: number | null;
  /** Theil-Sen over the life without its first quarter; null with too few readings. */
  readonly trend: Trend | null;
}

interface TimedLevel extends LevelReading {
  readonly timeMillis: number;
}

export class LevelTally {
  private kept: TimedLevel[] = [];
  private spacingMillis = 0;
  private latest: TimedLevel | null = null;

  add(timeMillis: number, reading: LevelReading): void {
    const level = { ...reading, timeMillis };
    this.latest = level;
    const first = this.kept[0];
    const last = this.kept.at(-1);
    if (last !== undefined && timeMillis - last.timeMillis < this.spacingMillis) return;
    this.kept.push(level);
    if (first === undefined || this.kept.length < MAX_READINGS) return;
    this.kept = this.kept.filter((_, index) => index % 2 === 0);
    this.spacingMillis = (2 * (timeMillis - first.timeMillis)) / MAX_READINGS;
  }

  rows(): LevelRow[] {
    const { latest } = this;
    if (latest === null) return [];
    return [
      this.row("heap after GC", latest.heapLimitBytes, (level) => level.postGcHeapBytes),
      this.row("external", null, (level) => level.externalBytes),
      this.row("RSS", null, (level) => level.rssBytes),
      this.row("container", latest.cgroupLimitBytes, (level) => level.cgroupBytes),
    ].filter((row) => row !== null);
  }

  private row(
    name: LevelRow["name"],
    limitBytes: number | null,
    of: (level: TimedLevel) => number | null,
  ): LevelRow | null {
    const readings = this.kept.at(-1) === this.latest || this.latest === null ? this.kept : [...this.kept, this.latest];
    const points = readings.flatMap((level) => {
      const value = of(level);
      return value === null ? [] : [[level.timeMillis, value] as const];
    });
    const first = points[0];
    const last = points.at(-1);
    const firstMillis = readings[0]?.timeMillis;
    if (first === undefined || last === undefined || firstMillis === undefined || this.latest === null) return null;
    const warmMillis = firstMillis + (this.latest.timeMillis - firstMillis) / 4;
    const warm = points.filter(([timeMillis]) => timeMillis >= warmMillis);
    const trend = theilSen(
      warm.map(([timeMillis]) => timeMillis / HOUR_MILLIS),
      warm.map(([, value]) => value),
    );
    return { name, firstBytes: first[1], lastBytes: last[1], limitBytes, trend };
  }
}
