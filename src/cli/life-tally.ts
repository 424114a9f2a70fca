/**
 * Runs in the CLI process. Owns what a history says without any verdict: what each route and site still holds, how it
 * grew, and the memory level. Reads one observation at a time, so that a month's history fits.
 */

import { type Trend, theilSen } from "../detector/level-trend";
import { inclusionProbability } from "../detector/sample-store";
import { StackIndex } from "../detector/stack-index";
import type { Frame, HistoryHeader, LevelReading, MaturedSample, Observation } from "../model/observation";
import { type OwnerKind, ownerName, type Route } from "../model/owner";

/** Readings of the level kept; when full, every second one goes. */
const MAX_READINGS = 1_024;
const HOUR_MILLIS = 3_600_000;

interface LiveSample {
  readonly thread: number;
  readonly bornMillis: number;
  readonly kind: OwnerKind;
  readonly route: number;
  readonly stack: number;
  readonly objects: number;
  readonly sizeBytes: number;
}

/** What one route, or one site, holds and how it grew. */
export interface GrowthRow {
  readonly name: string;
  /** For a site: the nearest function of the service's own code, where that is another one. */
  readonly via: string | null;
  /** Requests in the whole life; null for a site and for owners that serve none. */
  readonly requests: number | null;
  /** Matured and still alive, estimated from the samples. */
  readonly retainedBytes: number;
  readonly retainedObjects: number;
  readonly sampleCount: number;
  /** Of what was born in the second half of the life and is still alive. */
  readonly lateBytesPerHour: number;
  readonly lateBytesPerRequest: number | null;
}

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

/** Adds up one life. */
export class LifeTally {
  readonly stacks: StackIndex = new StackIndex();
  firstMillis = 0;
  lastMillis = 0;
  observationCount = 0;
  maturedCount = 0;
  freedCount = 0;
  labelledRatio: number | null = null;
  intervalBytes = 0;
  majorGcCount = 0;
  requestedGcCount = 0;
  private readonly routes: Route[] = [];
  private readonly aliases = new Map<number, number>();
  private readonly live = new Map<string, LiveSample>();
  private readonly requests: (readonly [number, number, number])[] = [];
  private readonly requestTotals = new Map<number, number>();
  private levels: TimedLevel[] = [];
  private levelSpacingMillis = 0;

  constructor(readonly header: HistoryHeader) {}

  add(observation: Observation): void {
    if (this.observationCount === 0) this.firstMillis = observation.timeMillis;
    this.observationCount++;
    this.lastMillis = observation.timeMillis;
    this.routes.push(...(observation.newRoutes ?? []));
    this.stacks.addFrames(observation.newFrames ?? []);
    this.stacks.addStacks(observation.newStacks ?? []);
    for (const [from, to] of observation.routeAliases ?? []) this.aliases.set(from, to);
    if (observation.restarted === true) this.forgetThread(observation.thread);
    for (const entry of observation.requests ?? []) this.addRequests(entry);
    for (const sample of observation.matured ?? []) this.mature(sample, observation);
    for (const key of observation.freed ?? []) if (this.live.delete(key)) this.freedCount++;
    this.addLevel(observation);
    this.labelledRatio = observation.labelledRatio ?? this.labelledRatio;
    this.intervalBytes = observation.intervalBytes;
    if (observation.thread === 0) this.majorGcCount = observation.majorGcCount;
    this.requestedGcCount = Math.max(this.requestedGcCount, observation.requestedGcCount);
  }

  /** Requests of all routes. */
  requestCount(): number {
    let total = 0;
    for (const count of this.requestTotals.values()) total += count;
    return total;
  }

  byRoute(): GrowthRow[] {
    const middle = this.middleMillis();
    const groups = new Map<string, { samples: LiveSample[]; route: number }>();
    const groupOf = (owner: string, route: number): { samples: LiveSample[]; route: number } => {
      let group = groups.get(owner);
      if (group === undefined) {
        group = { samples: [], route };
        groups.set(owner, group);
      }
      return group;
    };
    for (const sample of this.live.values())
      groupOf(this.ownerOf(sample), this.resolve(sample.route)).samples.push(sample);
    for (const index of this.requestTotals.keys()) {
      const route = this.resolve(index);
      groupOf(this.routes[route]?.name ?? "(unknown)", route);
    }
    const lateRequests = this.requestsAfter(middle);
    return [...groups]
      .map(([name, { samples, route }]) => {
        const isRoute = this.routes[route]?.name === name;
        return this.row(
          name,
          null,
          samples,
          isRoute ? this.totalOf(route) : null,
          lateRequests.get(route) ?? 0,
          middle,
        );
      })
      .sort(byGrowth);
  }

  bySite(): GrowthRow[] {
    const middle = this.middleMillis();
    const groups = new Map<string, { via: string | null; samples: LiveSample[] }>();
    for (const sample of this.live.values()) {
      const site = this.siteOf(sample.stack);
      const key = `${site.name}\n${site.via ?? ""}`;
      const group = groups.get(key) ?? { via: site.via, samples: [] };
      group.samples.push(sample);
      groups.set(key, group);
    }
    return [...groups]
      .map(([key, { via, samples }]) => this.row(key.split("\n", 1)[0] ?? "", via, samples, null, 0, middle))
      .sort(byGrowth);
  }

  levelRows(): LevelRow[] {
    const last = this.levels.at(-1);
    const limits = { heap: last?.heapLimitBytes ?? null, container: last?.cgroupLimitBytes ?? null };
    return [
      this.levelRow("heap after GC", (level) => level.postGcHeapBytes, limits.heap),
      this.levelRow("external", (level) => level.externalBytes, null),
      this.levelRow("RSS", (level) => level.rssBytes, null),
      this.levelRow("container", (level) => level.cgroupBytes, limits.container),
    ].filter((row) => row !== null);
  }

  private row(
    name: string,
    via: string | null,
    samples: readonly LiveSample[],
    requests: number | null,
    lateRequests: number,
    middleMillis: number,
  ): GrowthRow {
    const late = samples.filter((sample) => sample.bornMillis > middleMillis);
    const lateBytes = late.reduce((sum, sample) => sum + sample.sizeBytes, 0);
    const lateHours = (this.lastMillis - middleMillis) / HOUR_MILLIS;
    return {
      name,
      via,
      requests,
      retainedBytes: samples.reduce((sum, sample) => sum + sample.sizeBytes, 0),
      retainedObjects: samples.reduce((sum, sample) => sum + sample.objects, 0),
      sampleCount: samples.length,
      lateBytesPerHour: lateHours > 0 ? lateBytes / lateHours : 0,
      lateBytesPerRequest: requests !== null && lateRequests > 0 ? lateBytes / lateRequests : null,
    };
  }

  private middleMillis(): number {
    return (this.firstMillis + this.lastMillis) / 2;
  }

  private mature(sample: MaturedSample, observation: Observation): void {
    this.maturedCount++;
    const objects = 1 / inclusionProbability(sample.sizeBytes, observation.intervalBytes);
    this.live.set(sample.key, {
      thread: observation.thread,
      bornMillis: sample.bornMillis,
      kind: sample.kind,
      route: sample.route,
      stack: sample.stack,
      objects,
      sizeBytes: objects * sample.sizeBytes,
    });
  }

  private forgetThread(thread: number): void {
    for (const [key, sample] of this.live) if (sample.thread === thread) this.live.delete(key);
  }

  private ownerOf(sample: LiveSample): string {
    const route = this.routes[this.resolve(sample.route)]?.name ?? null;
    return ownerName(sample.kind, route);
  }

  private resolve(route: number): number {
    let resolved = route;
    for (let hops = 0; hops < 8; hops++) {
      const next = this.aliases.get(resolved);
      if (next === undefined || next === resolved) break;
      resolved = next;
    }
    return resolved;
  }

  private addRequests(entry: readonly [number, number, number]): void {
    const [, route, count] = entry;
    this.requests.push(entry);
    this.requestTotals.set(route, (this.requestTotals.get(route) ?? 0) + count);
  }

  private totalOf(route: number): number {
    let total = 0;
    for (const [index, count] of this.requestTotals) if (this.resolve(index) === route) total += count;
    return total;
  }

  private requestsAfter(timeMillis: number): Map<number, number> {
    const counts = new Map<number, number>();
    for (const [endMillis, route, count] of this.requests) {
      if (endMillis <= timeMillis) continue;
      const resolved = this.resolve(route);
      counts.set(resolved, (counts.get(resolved) ?? 0) + count);
    }
    return counts;
  }

  /** The deepest function that may be named: of the service or of a package; else the allocating builtin. */
  private siteOf(stack: number): { name: string; via: string | null } {
    const index = this.stacks.candidatesOf(stack).at(-1) ?? this.stacks.leaf(stack);
    const frame = this.stacks.frames[index];
    const near = this.stacks.nearestApplication(stack);
    const via = near === null || near === frame ? null : this.describe(near);
    return { name: frame === undefined ? "(unknown)" : this.describe(frame), via };
  }

  private describe(frame: Frame): string {
    const root = this.header.applicationRoot;
    const packages = frame.file.lastIndexOf("node_modules/");
    let file = frame.file;
    if (packages >= 0) file = file.slice(packages + "node_modules/".length);
    else if (root !== "" && file.startsWith(`${root}/`)) file = file.slice(root.length + 1);
    const name = frame.function || "(anonymous)";
    return file === "" ? name : `${name} ${file}:${frame.line}`;
  }

  private addLevel(observation: Observation): void {
    const last = this.levels.at(-1);
    if (last !== undefined && observation.timeMillis - last.timeMillis < this.levelSpacingMillis) return;
    this.levels.push({ ...observation.level, timeMillis: observation.timeMillis });
    if (this.levels.length < MAX_READINGS) return;
    this.levels = this.levels.filter((_, index) => index % 2 === 0);
    this.levelSpacingMillis = (2 * (this.lastMillis - this.firstMillis)) / MAX_READINGS;
  }

  private levelRow(
    name: LevelRow["name"],
    of: (level: TimedLevel) => number | null,
    limitBytes: number | null,
  ): LevelRow | null {
    const points = this.levels.flatMap((level) => {
      const value = of(level);
      return value === null ? [] : [[level.timeMillis, value] as const];
    });
    const first = points[0];
    const last = points.at(-1);
    if (first === undefined || last === undefined) return null;
    const warmMillis = this.firstMillis + (this.lastMillis - this.firstMillis) / 4;
    const warm = points.filter(([timeMillis]) => timeMillis >= warmMillis);
    const trend = theilSen(
      warm.map(([timeMillis]) => timeMillis / HOUR_MILLIS),
      warm.map(([, value]) => value),
    );
    return { name, firstBytes: first[1], lastBytes: last[1], limitBytes, trend };
  }
}

function byGrowth(a: GrowthRow, b: GrowthRow): number {
  return b.lateBytesPerHour - a.lateBytesPerHour || b.retainedBytes - a.retainedBytes || (a.name < b.name ? -1 : 1);
}
