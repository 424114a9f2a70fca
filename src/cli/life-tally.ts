/**
 * Runs in the CLI process. Owns what a history says without any verdict: what each route and site still holds, how it
 * grew. Reads one observation at a time, so that a month's history fits.
 */

import { inclusionProbability } from "../detector/sample-store";
import { StackIndex } from "../detector/stack-index";
import type { Frame, HistoryHeader, MaturedSample, Observation } from "../model/observation";
import { type OwnerKind, ownerName, type Route } from "../model/owner";
import { CostTally, type LifeCost } from "./cost-tally";
import { type LevelRow, LevelTally } from "./level-tally";

const HOUR_MILLIS = 3_600_000;

interface LiveSample {
  readonly thread: number;
  readonly kind: OwnerKind;
  readonly route: number;
  readonly stack: number;
  readonly objects: number;
  readonly sizeBytes: number;
}

/** A sample that matured (+1) or was freed (-1) at this time. */
interface Change {
  readonly timeMillis: number;
  readonly sample: LiveSample;
  readonly sign: 1 | -1;
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
  /** What matured minus what was freed in the second half of the life: about 0 for a cache that is full. */
  readonly lateBytesPerHour: number;
  readonly lateBytesPerRequest: number | null;
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
  private readonly costs = new CostTally();
  private readonly routes: Route[] = [];
  private readonly aliases = new Map<number, number>();
  private readonly live = new Map<string, LiveSample>();
  /** Bounded by the history's own size limit. */
  private changes: Change[] = [];
  private readonly requests: (readonly [number, number, number])[] = [];
  private readonly requestTotals = new Map<number, number>();
  private readonly levels = new LevelTally();

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
    for (const key of observation.freed ?? []) this.free(key, observation.timeMillis);
    this.levels.add(observation.timeMillis, observation.level);
    if (observation.cost !== undefined) this.costs.add(observation.cost);
    this.labelledRatio = observation.labelledRatio ?? this.labelledRatio;
    this.intervalBytes = observation.intervalBytes;
    if (observation.thread === 0) this.majorGcCount = observation.majorGcCount;
    this.requestedGcCount = Math.max(this.requestedGcCount, observation.requestedGcCount);
  }

  /** What the agent itself cost; null in histories of older agents. */
  cost(): LifeCost | null {
    return this.costs.life(this.lastMillis - this.header.startTimeMillis);
  }

  /** Requests of all routes. */
  requestCount(): number {
    let total = 0;
    for (const count of this.requestTotals.values()) total += count;
    return total;
  }

  byRoute(): GrowthRow[] {
    const middleMillis = this.middleMillis();
    const groups = this.group(middleMillis, (sample) => this.ownerOf(sample));
    const lateRequests = this.requestsAfter(middleMillis);
    const served = new Map<string, number>();
    for (const index of this.requestTotals.keys()) {
      const route = this.resolve(index);
      served.set(this.routes[route]?.name ?? "(unknown)", route);
    }
    for (const name of served.keys()) if (!groups.has(name)) groups.set(name, emptyGroup());
    return [...groups]
      .map(([name, group]) => {
        const route = served.get(name);
        const requests = route === undefined ? null : this.totalOf(route);
        return this.row(name, null, group, requests, route === undefined ? 0 : (lateRequests.get(route) ?? 0));
      })
      .sort(byGrowth);
  }

  bySite(): GrowthRow[] {
    const groups = this.group(this.middleMillis(), (sample) => {
      const site = this.siteOf(sample.stack);
      return `${site.name}\n${site.via ?? ""}`;
    });
    return [...groups]
      .map(([key, group]) => {
        const [name = "", via = ""] = key.split("\n");
        return this.row(name, via === "" ? null : via, group, null, 0);
      })
      .sort(byGrowth);
  }

  levelRows(): LevelRow[] {
    return this.levels.rows();
  }

  private group(middleMillis: number, keyOf: (sample: LiveSample) => string): Map<string, Group> {
    const groups = new Map<string, Group>();
    const groupOf = (sample: LiveSample): Group => {
      const key = keyOf(sample);
      const group = groups.get(key) ?? emptyGroup();
      groups.set(key, group);
      return group;
    };
    for (const sample of this.live.values()) groupOf(sample).samples.push(sample);
    for (const { timeMillis, sample, sign } of this.changes) {
      if (timeMillis > middleMillis) groupOf(sample).lateBytes += sign * sample.sizeBytes;
    }
    return groups;
  }

  private row(
    name: string,
    via: string | null,
    group: Group,
    requests: number | null,
    lateRequests: number,
  ): GrowthRow {
    const { samples, lateBytes } = group;
    const lateHours = (this.lastMillis - this.middleMillis()) / HOUR_MILLIS;
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
    const live: LiveSample = {
      thread: observation.thread,
      kind: sample.kind,
      route: sample.route,
      stack: sample.stack,
      objects,
      sizeBytes: objects * sample.sizeBytes,
    };
    this.live.set(sample.key, live);
    this.changes.push({ timeMillis: observation.timeMillis, sample: live, sign: 1 });
  }

  private free(key: string, timeMillis: number): void {
    const sample = this.live.get(key);
    if (sample === undefined) return;
    this.live.delete(key);
    this.freedCount++;
    this.changes.push({ timeMillis, sample, sign: -1 });
  }

  /** Its sampler was restarted: what it knew says nothing any more, neither growth nor deaths. */
  private forgetThread(thread: number): void {
    for (const [key, sample] of this.live) if (sample.thread === thread) this.live.delete(key);
    this.changes = this.changes.filter((change) => change.sample.thread !== thread);
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
    const near = this.stacks.nearestApplication(stack, index);
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
}

interface Group {
  readonly samples: LiveSample[];
  lateBytes: number;
}

function emptyGroup(): Group {
  return { samples: [], lateBytes: 0 };
}

function byGrowth(a: GrowthRow, b: GrowthRow): number {
  return b.lateBytesPerHour - a.lateBytesPerHour || b.retainedBytes - a.retainedBytes || (a.name < b.name ? -1 : 1);
}
